"""A relay worker as the server sees it: a child process, orders to it, events from it, media on a pipe of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

import attrs
import trio

from streamhub.observe.log import get_logger
from streamhub.wire.relay_control import Event, EventReader, Order, format_order

# A worker that has nothing more to do tidies up in a moment; one that hangs in libav is killed.
GRACE_S = 1.5
READ_BYTES = 256 * 1024
_PASSED_ON = frozenset({"PATH", "HOME", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR"})
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)

log = get_logger("relay")


class WorkerLike(Protocol):
    """What a relay needs of a worker."""

    media_fd: int

    async def order(self, order: Order) -> None:
        """Tell it something. If it is gone, ``events`` ends: nothing is raised here."""
        ...

    async def send_media(self, data: bytes) -> None:
        """Hand media over; waits while the worker is behind. If it is gone, the media is lost."""
        ...

    def events(self) -> AsyncGenerator[Event, None]:
        """What it says, until it ends. Raises BadRelayMessage."""
        ...


class OpenWorker(Protocol):
    """Starts one; ``open_worker`` below in the server."""

    def __call__(self, *, media: bool) -> AbstractAsyncContextManager[WorkerLike]:
        """A worker for the time of the block; afterwards it has ended. ``media``: with a media pipe."""
        ...


@attrs.define(eq=False)
class Worker:
    """One running worker. ``media_fd`` is the number of its media pipe in its own process, -1 without one."""

    process: trio.Process
    media_fd: int
    _media: trio.lowlevel.FdStream | None
    _ordering: trio.Lock = attrs.field(factory=trio.Lock)

    async def order(self, order: Order) -> None:
        assert self.process.stdin is not None
        async with self._ordering:  # several sinks may end at once
            with suppress(*_GONE):
                await self.process.stdin.send_all(format_order(order))

    async def send_media(self, data: bytes) -> None:
        assert self._media is not None
        with suppress(*_GONE):
            await self._media.send_all(data)

    async def events(self) -> AsyncGenerator[Event, None]:
        assert self.process.stdout is not None
        reader = EventReader()
        while True:
            try:
                data = await self.process.stdout.receive_some(READ_BYTES)
            except _GONE:
                return
            if not data:
                return
            for event in reader.receive(bytes(data)):
                yield event


@asynccontextmanager
async def open_worker(*, media: bool) -> AsyncIterator[Worker]:
    """A worker for the time of the block; afterwards its process has ended. ``media``: with a media pipe."""
    taken, given = os.pipe() if media else (-1, -1)
    try:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-I", "-m", "streamhub.relay"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[taken] if media else [],
            env={k: v for k, v in os.environ.items() if k in _PASSED_ON},
            start_new_session=True,  # Ctrl-C is for us: we end it in our order
        )
    except BaseException:
        if media:
            os.close(given)
        raise
    finally:
        if media:
            os.close(taken)
    worker = Worker(process, taken, trio.lowlevel.FdStream(given) if media else None)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_forward, process)
            yield worker
            await _end(worker)
            nursery.cancel_scope.cancel()
    finally:
        await _end(worker)


async def _end(worker: Worker) -> None:
    """Close what it reads from: it ends by that. Returns when it has ended."""
    process = worker.process
    with trio.CancelScope(shield=True):
        if process.stdin is not None:
            await process.stdin.aclose()
        if worker._media is not None:
            await worker._media.aclose()
        with trio.move_on_after(GRACE_S):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()


async def _forward(process: trio.Process) -> None:
    """Its complaints go to our log, a line each; the worker has masked what nobody may read."""
    assert process.stderr is not None
    rest = b""
    async with process.stderr:
        async for data in process.stderr:
            *lines, rest = (rest + bytes(data))[-65536:].split(b"\n")
            for line in lines:
                log.debug("worker", said=line.decode("utf-8", "replace")[:500])
