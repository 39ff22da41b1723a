"""A server with a real livekit-server, and LiveKit's own SDK as the client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.livekit import livekit_env
from tests.support.server import Server, run_server
from tests.support.waiting import eventually


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Server]:
    """The server; its LiveKit is ready."""
    async with run_server(tmp_path, env=livekit_env()) as server:
        await livekit_ready(server)
        yield server


async def livekit_ready(server: Server) -> None:
    """Return once WebRTC works."""

    async def ready() -> bool:
        return (await server.request("GET", "/api/v1/apps/live/play-token/x", token=None)).status == 200

    await eventually(ready, within_s=60)
