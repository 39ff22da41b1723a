"""A source that is a room of LiveKit's: joined by WebRTC as somebody whom nobody sees, coded media taken as it comes.

Imported for sources of this kind alone, for it brings aiortc and asyncio along: the loop is that of the source's own
thread.
"""
