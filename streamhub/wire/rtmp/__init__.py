"""RTMP as encoders speak it that publish: handshake, chunks, AMF0, and the session on top (RTMP 1.0, Enhanced RTMP v2).

Bytes in, events and bytes out; sockets, deadlines and who may publish are ``ingest.rtmp_server``'s.
"""
