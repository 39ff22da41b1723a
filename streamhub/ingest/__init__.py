"""The doors in: camera WebSockets (later WHIP, RTMP and pulls).

May import ``wire``, ``rooms``, ``livekit`` and ``net``. Asks who may publish through a Protocol of
``model.access``; never imports ``services``.
"""
