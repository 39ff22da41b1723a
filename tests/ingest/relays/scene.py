"""A hub and relays with scripted workers, over a scripted LiveKit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import attrs
import trio

from streamhub.errors import Unavailable
from streamhub.ingest.relay_whip import RelayWhip
from streamhub.ingest.relays import Relays
from streamhub.livekit.whip import WhipClient
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.relays import PullSource
from streamhub.rooms.hls_files import HlsFiles
from streamhub.rooms.hub import Hub
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import Start
from tests.fakes.relay import ScriptedWorker, Workers
from tests.fakes.whip import ScriptedLiveKit

KEY = RoomKey(AppName("live"), RoomName("live-drone"))


@attrs.define(eq=False)
class Scene:
    hub: Hub
    workers: Workers
    livekit: ScriptedLiveKit
    relays: Relays
    sources: list[PullSource]
    nursery: trio.Nursery

    @property
    def worker(self) -> ScriptedWorker:
        return self.workers.made[-1]

    def room(self) -> Room:
        room = self.hub.get(KEY)
        assert room is not None
        return room


@attrs.define
class Rows:
    sources: list[PullSource]

    async def pulls(self) -> Sequence[PullSource]:
        await trio.lowlevel.checkpoint()
        return list(self.sources)


@asynccontextmanager
async def scene(hls_files: HlsFiles | None = None) -> AsyncIterator[Scene]:
    async def emit(_event: object) -> None:
        await trio.lowlevel.checkpoint()

    async def placeholder(*_: object) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"placeholder"

    async def last_seen(_key: RoomKey) -> datetime | None:
        await trio.lowlevel.checkpoint()
        return None

    async def prepare(source: PullSource) -> Start:
        await trio.lowlevel.checkpoint()
        if "denied" in source.url:
            raise Unavailable("that host is denied", code="outbound_denied")
        return Start(kind="rtsp", url=source.url)

    hub = Hub(emit, placeholder, last_seen, hls_files=hls_files)
    livekit, workers, sources = ScriptedLiveKit(), Workers(), list[PullSource]()
    whip = RelayWhip(WhipClient(livekit.server()), "http://127.0.0.1:1")
    relays = Relays(hub, whip, Rows(sources), prepare, open_worker=workers)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        nursery.start_soon(relays.run)
        yield Scene(hub, workers, livekit, relays, sources, nursery)
        nursery.cancel_scope.cancel()
