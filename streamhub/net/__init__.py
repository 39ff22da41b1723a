"""Listeners and addresses: the front (one port for everything), trusted proxies, which address others reach.

May import ``wire``; nothing above it.
"""
