"""Small stand-ins with behaviour for what a room meets: outlets, wires, a viewer's talk, the ledger."""

from __future__ import annotations

import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import attrs
import trio

from streamhub.errors import StoreError
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import State, StreamEvent, StreamType
from streamhub.net.connection import DoorWire
from streamhub.rooms import ready
from streamhub.rooms.room import Room
from streamhub.rooms.session import Session

KEY = RoomKey(AppName("live"), RoomName("live-cam1"))
START = datetime(2026, 1, 1, tzinfo=UTC)


def wall() -> datetime:
    """The wall clock of these tests: it goes with Trio's."""
    return START + timedelta(seconds=trio.current_time())


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def plain(jpeg: bytes) -> bytes:
    """A pump's form that shows in a byte stream where a picture begins and ends."""
    return b"<" + jpeg + b">"


@attrs.define(eq=False)
class Outlet(ready.Outlet):
    """An outlet without a task of its own; ``woken`` remembers each ``began``."""

    fd: int
    paced: bool = False
    woken: list[bool] = attrs.field(factory=list)

    def wake(self, *, began: bool) -> None:
        self.woken.append(began)


class NoFdWire(DoorWire):
    """A wire as TLS is one: the pump must not write to it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        super().__init__(stream)
        self.fd = -1


@attrs.define
class Talk:
    """A viewer's side channel: says what is queued, remembers what it heard."""

    say: list[bytes] = attrs.field(factory=list)
    heard: bytes = b""
    most: int = 1000
    ping_every_s: float = math.inf
    living: bool = True
    _ping_at: float = math.inf

    def start_pings(self) -> None:
        self._ping_at = trio.current_time() + self.ping_every_s

    def received(self, data: bytes) -> bool:
        self.heard += data
        return bool(data) and len(self.heard) <= self.most

    def pending(self) -> bytes:
        if trio.current_time() >= self._ping_at:
            self.start_pings()
            return b"(ping)"
        return self.say.pop(0) if self.say else b""

    def next_at(self) -> float:
        return self._ping_at

    def alive(self) -> bool:
        return self.living


def stream_pair(buffer_bytes: int = 0) -> tuple[trio.SocketStream, trio.SocketStream]:
    """Two ends of a real connection of this machine, with small kernel buffers if asked."""
    ours, theirs = socket.socketpair()
    if buffer_bytes:
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours)), trio.SocketStream(
        trio.socket.from_stdlib_socket(theirs)
    )


@attrs.define(eq=False)
class World:
    """What a room or hub is given: remembers events, drawings and errors; ``trouble`` makes the ledger fail."""

    events: list[StreamEvent] = attrs.field(factory=list)
    drawn: list[tuple[State, datetime | None, tuple[int, int] | None]] = attrs.field(factory=list)
    errors: list[tuple[str, Exception]] = attrs.field(factory=list)
    trouble: str = ""
    drawing_s: float = 0.0
    drawing_fails: int = 0

    async def emit(self, event: StreamEvent) -> None:
        await trio.lowlevel.checkpoint()
        if self.trouble == "fails":
            raise StoreError("disk full")
        if self.trouble == "hangs":
            await trio.sleep_forever()
        self.events.append(event)

    async def placeholder(
        self, key: RoomKey, state: State, since: datetime | None, size: tuple[int, int] | None
    ) -> bytes:
        self.drawn.append((state, since, size))
        await trio.sleep(self.drawing_s)
        if self.drawing_fails:
            self.drawing_fails -= 1
            raise ValueError("no font")
        return f"[{state.value} {key.room}]".encode()

    def on_error(self, _key: RoomKey, where: str, exc: Exception) -> None:
        self.errors.append((where, exc))

    def room(self) -> Room:
        return Room(KEY, self.emit, wall, self.placeholder, self.on_error)

    @asynccontextmanager
    async def open_room(self) -> AsyncIterator[Room]:
        room = self.room()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(room.run)
            await room.opened.wait()
            yield room
            room.close()


def session(stream_id: str = "live-cam1/one", key_id: str | None = "wsi_1") -> Session:
    return Session(KEY, stream_id, StreamType.WS_MJPEG, stream_id.partition("/")[2], key_id, wall())
