"""Live state: the hub, one nursery per room, the latest frame, the pump to its viewers.

May import ``errors``, ``model``, ``observe`` and ``wire``. Reports what happens through an ``emit`` callable
given to it; never touches the database or HTTP.
"""
