"""The other end of a camera in a test: a real trio-websocket server, over memory so that the clock can jump."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import attrs
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from streamhub.simulator.camera import CameraOptions, CameraState, Progress
from streamhub.simulator.connection import LinkFailed
from streamhub.simulator.target import Target

TARGET = Target(host="cams.test", port=3020, app="live", room="cam1")
KEY = "wsk_simulator-test-key"
Handler: TypeAlias = Callable[[WebSocketConnection], Awaitable[None]]


def options(**changes: object) -> CameraOptions:
    return attrs.evolve(CameraOptions(target=TARGET, key=KEY), **changes)


def ready(*, max_fps: float = 15, max_frame_bytes: int = 262_144) -> str:
    body = {"type": "ready", "room": "live-cam1", "streamId": "live-cam1/x", "idleTimeoutSec": 30}
    return json.dumps(body | {"maxFps": max_fps, "maxFrameBytes": max_frame_bytes})


@attrs.define
class Numbers:
    """A FrameSource: frame n is ``FF D8`` and the number, padded; ``size`` shrinks by lower_quality while it can."""

    size: int = 100
    steps: int = 0
    made: int = 0

    async def next_frame(self) -> bytes:
        await trio.lowlevel.checkpoint()
        self.made += 1
        return (b"\xff\xd8" + str(self.made).encode()).ljust(self.size, b".")

    def lower_quality(self) -> bool:
        if not self.steps:
            return False
        self.steps -= 1
        self.size //= 2
        return True


@attrs.define
class SlowLink(trio.abc.Stream):
    """A stream whose sending takes ``bytes_per_s``; 0 stalls it for ever once ``stalled`` is set."""

    inner: trio.abc.Stream
    bytes_per_s: float
    started: bool = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.started:
            await trio.sleep(len(data) / self.bytes_per_s if self.bytes_per_s else float("inf"))
        self.started = True  # the handshake passes at once
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


@attrs.define
class Peer:
    """Accepts every dialled connection and gives it to ``handler``; ``refuse``: so many dials fail first."""

    nursery: trio.Nursery
    handler: Handler
    refuse: int = 0
    bytes_per_s: float | None = None
    paths: list[str] = attrs.field(factory=list)
    headers: list[dict[bytes, bytes]] = attrs.field(factory=list)
    dialled_at: list[float] = attrs.field(factory=list)
    closed: list[tuple[int, str | None]] = attrs.field(factory=list)

    async def dial(self, target: Target, insecure: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.dialled_at.append(trio.current_time())
        if self.refuse:
            self.refuse -= 1
            raise LinkFailed("cannot reach cams.test:3020: Connection refused")
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs)
        return ours if self.bytes_per_s is None else SlowLink(ours, self.bytes_per_s)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, stream)
            self.paths.append(request.path)
            self.headers.append(dict(request.headers))
            socket = await request.accept()
            try:
                await self.handler(socket)
            except ConnectionClosed as exc:
                if exc.reason is not None:
                    self.closed.append((exc.reason.code, exc.reason.reason))
            await socket.aclose()
            nursery.cancel_scope.cancel()


@attrs.define
class Log:
    """A ``report`` that remembers."""

    seen: list[Progress] = attrs.field(factory=list)

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)

    @property
    def last(self) -> Progress:
        return self.seen[-1]

    def states(self) -> list[CameraState]:
        """The states in order, repetitions left out."""
        return [p.state for n, p in enumerate(self.seen) if n == 0 or p.state is not self.seen[n - 1].state]
