"""Measurements, run by scripts/bench: each module is one, and always measures a named peer in the same run."""
