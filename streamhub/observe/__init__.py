"""Logs and metrics. Imports nothing of StreamHub but ``errors`` and ``model``; everybody may import it."""
