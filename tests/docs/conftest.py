"""A server with a real livekit-server, for the pages that join rooms."""

from tests.e2e.rooms.conftest import hub

__all__ = ["hub"]
