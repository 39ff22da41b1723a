"""A relay worker as the server starts it: a real process, its orders and events, and media for its pipe."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio

from streamhub.wire.relay_control import (
    Ended,
    Event,
    EventReader,
    Order,
    Picture,
    Start,
    format_order,
    format_picture,
)
from tests.support.children import bury, end_of_input

ROOT = Path(__file__).parents[2]
_E = TypeVar("_E", bound=Event)


@attrs.define(eq=False)
class RelayWorker:
    """``events`` is everything it said but pictures, which are in ``pictures``; ``errors`` what it wrote to stderr."""

    process: trio.Process
    media: int | None
    events: list[Event] = attrs.field(factory=list)
    pictures: list[Picture] = attrs.field(factory=list)
    errors: bytearray = attrs.field(factory=bytearray)
    _more: trio.Event = attrs.field(factory=trio.Event)

    async def read(self) -> None:
        reader = EventReader()
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            for event in reader.receive(data):
                (self.pictures if isinstance(event, Picture) else self.events).append(event)  # type: ignore[arg-type]
            self._more.set()
            self._more = trio.Event()

    async def read_errors(self) -> None:
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            self.errors += data

    async def order(self, *orders: Order) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(b"".join(map(format_order, orders)))

    async def until(self, check: Callable[[], bool], within_s: float = 60) -> None:
        """Return once ``check`` is true; looked at whenever something was said."""
        with trio.move_on_after(within_s):
            while not check():
                await self._more.wait()
            return
        raise AssertionError(
            f"not within {within_s} s; said {self.events}, {len(self.pictures)} pictures; {self.errors.decode()}"
        )

    async def said(self, kind: type[_E], *, within_s: float = 60, **fields: Any) -> _E:
        """The first such event it said or says."""

        def found() -> list[_E]:
            return [
                e for e in self.events if isinstance(e, kind) and all(getattr(e, k) == v for k, v in fields.items())
            ]

        await self.until(lambda: bool(found()), within_s)
        return found()[0]

    def all(self, kind: type[_E]) -> list[_E]:
        return [e for e in self.events if isinstance(e, kind)]

    async def feed(self, data: bytes) -> None:
        """Into the media pipe; as fast as it is taken."""
        assert self.media is not None
        await trio.to_thread.run_sync(_write_all, self.media, data, abandon_on_cancel=True)

    def end_media(self) -> None:
        if self.media is not None:
            os.close(self.media)
            self.media = None

    async def feed_flv(self, flv: bytes, speed: float = 1.0, *, loops: int = 1) -> None:
        """An FLV file in its own time; repeated with its timestamps going on where they ended."""
        header, tags, length = _tags(flv)
        await self.feed(header)
        began = trio.current_time()
        for loop in range(loops):
            for at_ms, tag in tags:
                if loop and tag[1:4] == b"\x00\x00\x00":
                    continue
                at_ms += loop * length
                await trio.sleep_until(began + at_ms / 1000 / speed)
                stamp = struct.pack(">I", at_ms)
                await self.feed(tag[:4] + stamp[1:] + stamp[:1] + tag[8:])

    async def feed_pictures(self, jpegs: list[bytes], fps: float, count: int, speed: float = 1.0) -> None:
        """A camera's pictures, each with its time."""
        began = trio.current_time()
        for n in range(count):
            await trio.sleep_until(began + n / fps / speed)
            await self.feed(format_picture(jpegs[n % len(jpegs)], 1_700_000_000_000 + round(n * 1000 / fps)))


def _write_all(fd: int, data: bytes) -> None:
    with suppress(BrokenPipeError):  # it has ended; what it said is what a test looks at
        while data:
            data = data[os.write(fd, data) :]


def _tags(flv: bytes) -> tuple[bytes, list[tuple[int, bytes]], int]:
    """Header, tags with their times in ms, and the whole length in ms."""
    at, tags = 13, []
    while at + 11 <= len(flv):
        size = int.from_bytes(flv[at + 1 : at + 4]) + 15
        stamp = flv[at + 7] << 24 | int.from_bytes(flv[at + 4 : at + 7])
        tags.append((stamp, flv[at : at + size]))
        at += size
    return flv[:13], tags, max(stamp for stamp, _ in tags) + 33


@asynccontextmanager
async def relay_worker(start: Start | None = None, *, pipe: bool = False) -> AsyncIterator[RelayWorker]:
    """A worker, told ``start`` (its ``media_fd`` is filled in with ``pipe``); it ends with the block, or is killed."""
    reading, writing = os.pipe() if pipe else (None, None)
    process = await trio.lowlevel.open_process(
        [sys.executable, "-I", "-m", "streamhub.relay"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=() if reading is None else (reading,),
        cwd=ROOT,
    )
    worker = RelayWorker(process, writing)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.read)
            nursery.start_soon(worker.read_errors)
            if start is not None:
                await worker.order(start if reading is None else attrs.evolve(start, media_fd=reading))
            if reading is not None:
                os.close(reading)
                reading = None
            yield worker
            await end_of_input(process, 20)
            nursery.cancel_scope.cancel()
    finally:
        await bury(process)
        worker.end_media()
        if reading is not None:
            os.close(reading)


async def ended(worker: RelayWorker, within_s: float = 60) -> Ended:
    """Its last word, after which it is gone."""
    last = await worker.said(Ended, within_s=within_s)
    with trio.fail_after(20):
        await worker.process.wait()
    return last
