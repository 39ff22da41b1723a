"""A camera in software: ``streamhub camera`` and the demo.

Speaks the camera protocol to any server, as a device would, and so shares no code with the server's side of
it: may import ``errors``, ``model``, ``observe`` and ``wire``.
"""
