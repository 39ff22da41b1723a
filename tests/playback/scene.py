"""A media server on loopback with sources that tests drive by hand, on the tests' own wall clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import attrs
import trio
import trio.testing

from streamhub.model.streams import StreamType
from streamhub.rooms.hls_files import HlsFiles
from streamhub.rooms.room import Room
from streamhub.rooms.session import Session
from tests.support.media import Authority, Media, room_key, serve_media

START = datetime(2026, 1, 1, 12, 0, 0, 400_000, tzinfo=UTC)


def wall() -> datetime:
    return START + timedelta(seconds=trio.current_time())


@asynccontextmanager
async def scene(authority: Authority | None = None, hls_files: HlsFiles | None = None) -> AsyncIterator[Media]:
    async with serve_media(authority, hls_files) as media:
        media.hub.clock = wall
        yield media


@attrs.define(eq=False)
class Source:
    """A camera that publishes when told."""

    room: Room
    session: Session

    async def show(self, jpeg: bytes) -> None:
        await self.room.publish(self.session, jpeg)
        await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def source(media: Media, name: str = "cam1") -> AsyncIterator[Source]:
    key = room_key(name)
    async with media.hub.lease(key) as room:
        session = Session(key, f"{key.room}/one", StreamType.WS_MJPEG, "one", f"wsi_{name}", wall())
        room.attach(session)
        try:
            yield Source(room, session)
        finally:
            room.detach(session)
            session.ended.set()
