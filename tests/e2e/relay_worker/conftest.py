"""A server with a real livekit-server, to publish to and to watch at."""

from __future__ import annotations

from tests.e2e.whip.conftest import hub

__all__ = ["hub"]
