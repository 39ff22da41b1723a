"""Examples are drawn anew in every run; a slow machine is no failure."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("streamhub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streamhub")
