"""A maker of HLS segments as a relay worker's supervisor is one, with bytes that a test can tell apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from streamhub.rooms.hls import HlsStart, HlsStream
from streamhub.rooms.hls_files import HlsFiles
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import Segment

T = TypeVar("T")
AT_MS = 1_767_225_600_000


async def inline(call: Callable[[], T]) -> T:
    """A runner without threads: a clock that jumps takes a task that waits for one for idle."""
    await trio.lowlevel.checkpoint()
    return call()


def inline_files(root: Path) -> HlsFiles:
    return HlsFiles(root / "hls", inline)


@attrs.define(eq=False)
class Maker:
    """One start of a stream; ``make`` writes a segment as a worker does, and tells of it."""

    stream: HlsStream
    start: HlsStart
    made: int = 0

    @property
    def init(self) -> str | None:
        return f"{self.start.prefix}_init_0.mp4" if self.start.container == "fmp4" else None

    def name(self, number: int) -> str:
        return f"{self.start.prefix}_{number}.{'m4s' if self.start.container == 'fmp4' else 'ts'}"

    async def make(self, body: bytes = b"pictures", *, first: bool = False) -> str:
        number, self.made = self.made, self.made + 1
        name = self.name(number)
        (self.start.folder / name).write_bytes(body)
        if self.init is not None:
            (self.start.folder / self.init).write_bytes(b"ftyp")
        segment = Segment(
            id="hls",
            name=name,
            number=number,
            duration_s=2.0,
            at_ms=AT_MS + number * 2000,
            bytes=len(body),
            init=self.init,
            first=first,
        )
        await self.stream.feed(segment)
        return name


@asynccontextmanager
async def making(stream: HlsStream) -> AsyncIterator[Maker]:
    async with stream.serving() as start:
        yield Maker(stream, start)


async def supervise(room: Room, started: Callable[[Maker], None]) -> None:
    """What a supervisor does for both containers, for ever: begin when wanted, end when not."""

    async def one(stream: HlsStream) -> None:
        while True:
            await stream.wanted()
            async with making(stream) as maker:
                started(maker)
                await stream.unwanted()

    with room.hls.offered():
        async with trio.open_nursery() as nursery:
            for stream in room.hls.streams.values():
                nursery.start_soon(one, stream)
