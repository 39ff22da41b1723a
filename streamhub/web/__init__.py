"""The Quart-Trio application: REST, pages, static files.

Translates HTTP to service calls and back. May import ``services``, ``ingest``, ``rooms``, ``wire`` and ``net``.
"""
