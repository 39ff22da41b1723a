"""Values and rules everybody shares: names, frames, states, grants, events.

Frozen values, pure functions and Protocols. No I/O, no Trio, no third-party framework; imports nothing of
StreamHub but ``errors``. Every other package may import this one.
"""
