"""Fixtures around a real livekit-server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from streamhub.livekit.choose import report_end
from streamhub.livekit.config import LOOPBACK, Wishes
from streamhub.livekit.managed import ManagedServer
from streamhub.livekit.server import LiveKit, State
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.rooms.backoff import run_supervised
from tests.support.livekit import livekit_binary
from tests.support.waiting import eventually

KEYS = LiveKitKeys("APItest", "a-livekit-secret-of-thirty-two-chars-or-more")


@asynccontextmanager
async def running_livekit(folder: Path, webhook_url: str | None = None) -> AsyncIterator[ManagedServer]:
    """A managed livekit-server on free ports, supervised; ``.livekit`` is what the rest of the program sees of it."""
    wishes = Wishes(keys=KEYS, udp=0, tcp=0, node_ip=LOOPBACK, webhook_url=webhook_url)
    managed = ManagedServer(LiveKit(KEYS, managed=True), livekit_binary(), wishes, folder)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_supervised, managed.run, partial(report_end, managed.livekit))
        await eventually(lambda: managed.livekit.state is State.READY, within_s=20)
        yield managed
        await managed.stop()
        nursery.cancel_scope.cancel()


@pytest.fixture
async def managed(tmp_path: Path) -> AsyncIterator[ManagedServer]:
    """The owner of a real livekit-server."""
    async with running_livekit(tmp_path) as running:
        yield running


@pytest.fixture
def livekit_server(managed: ManagedServer) -> LiveKit:
    """A real livekit-server, ready."""
    return managed.livekit
