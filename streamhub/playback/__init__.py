"""The doors out that own sockets: MJPEG, ``frame.jpg``, the viewer WebSocket.

May import ``services``, ``rooms``, ``wire`` and ``net``.
"""
