"""What we say to LiveKit and it to us. For now: its join tokens.

May import ``wire`` and ``net``.
"""
