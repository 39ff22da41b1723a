"""Use cases, named by the REST words: apps, tokens, keys, streams, access, the ledger, health.

Each authorises the object it loaded, then acts. May import ``store``, ``rooms``, ``livekit``, ``ingest``,
``wire`` and ``net``; never ``web``.
"""
