"""The relay worker: a process of its own that takes one source in and passes it on, copied where that is possible.

Imports wire, model and errors only, so that it starts fast; nobody imports it. The only importer of av.
"""
