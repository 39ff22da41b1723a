"""Viewer workers: processes that send pictures to the viewers of large rooms, on cores the server leaves idle.

Layer: below the doors. The worker's half (``worker``) reuses pump and viewer of ``rooms``; the server's is ``crew``.
"""
