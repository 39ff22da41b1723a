"""Bytes to values and back, sans-IO: JPEG, multipart, WebSocket frames, the camera protocol.

No sockets, no Trio, no clock: time comes in as an argument. May import ``errors`` and ``model``.
"""
