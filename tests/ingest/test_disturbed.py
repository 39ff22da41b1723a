"""The camera door, disturbed at every step it takes: nothing may be left behind, whoever waits must be told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from streamhub.ingest import camera_ws
from streamhub.ingest.camera_ws import CameraDoor
from streamhub.model.streams import KEY_REVOKED, SERVER_STOPPING, StreamEnded, StreamEvent, StreamStarted
from streamhub.model.urls import Base
from streamhub.net.connection import Taken
from streamhub.net.peers import Peer
from streamhub.rooms.hub import Hub
from streamhub.rooms.session import Session
from tests.support.device import BINARY, NONCE, PING, TEXT, frame
from tests.support.media import Authority, jpeg, room_key

STEPS = 70
READY, PONG, REVOKED = b'"type": "ready"', b"\x8a\x04done", b"\x88\x0d\x11\x31key revoked"
HEADERS = [
    (b"host", b"hub"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", NONCE.encode()),
    (b"sec-websocket-version", b"13"),
]


@attrs.define(eq=False)
class Scene:
    """A hub and one camera's connection without a front around them."""

    hub: Hub
    door: CameraDoor
    device: trio.SocketStream
    taken: Taken
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    events: list[StreamEvent] = attrs.field(factory=list)
    sessions: list[Session] = attrs.field(factory=list)


async def _placeholder(*_args: object) -> bytes:
    await trio.lowlevel.checkpoint()
    return jpeg()


@asynccontextmanager
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    events: list[StreamEvent] = []
    sessions: list[Session] = []

    async def emit(event: StreamEvent) -> None:
        events.append(event)  # as the ledger: in its queue at once, whatever happens to the caller
        for _ in range(3):
            await trio.lowlevel.checkpoint()

    async def never_seen(_key: object) -> None:
        await trio.lowlevel.checkpoint()

    def record(*args: object, **kwargs: object) -> Session:
        sessions.append(Session(*args, **kwargs))  # type: ignore[arg-type]
        return sessions[-1]

    monkeypatch.setattr(camera_ws, "Session", record)
    ours, theirs = trio.socket.socketpair()
    stream, device = trio.SocketStream(ours), trio.SocketStream(theirs)
    hub = Hub(emit, _placeholder, never_seen)
    query = {"app": "live", "room": "cam1", "key": "wsk_cam1_1"}
    rest = frame(BINARY, jpeg(1)) + frame(TEXT, b'{"type":"stats","n":1}') + frame(PING, b"done")
    peer = Peer("192.0.2.1", Base("http", "hub"))
    taken = Taken("GET", "/ingest/ws", query, HEADERS, b"/ingest/ws", stream, rest, peer)
    async with stream, device, trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        door = CameraDoor(hub, Authority(), emit, lambda _word: None)
        yield Scene(hub, door, device, taken, events=events, sessions=sessions)
        nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class Steps(trio.abc.Instrument):
    """Sets ``reached`` after so many task steps of the whole program."""

    left: int
    reached: trio.Event = attrs.field(factory=trio.Event)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.reached.set()


async def run_disturbed(
    at: Scene, step: int, disturb: Callable[[Scene], None], beside: Callable[[], Awaitable[None]]
) -> bool:
    """Run the door, with a device ``beside`` it, and act after ``step`` steps; whether the door was still at work."""
    steps, done, in_time = Steps(step), trio.Event(), False

    async def act() -> None:
        nonlocal in_time
        await steps.reached.wait()
        in_time = not done.is_set()
        disturb(at)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(act)
            nursery.start_soon(beside)
            await trio.testing.wait_all_tasks_blocked()
            trio.lowlevel.add_instrument(steps)
            with at.scope:
                await at.door(at.taken)
            done.set()
            await trio.aclose_forcefully(at.taken.stream)
            trio.lowlevel.remove_instrument(steps)
            steps.reached.set()
    return in_time


def cancel(at: Scene) -> None:
    at.scope.cancel()


def revoke(at: Scene) -> None:
    for session in at.sessions:
        session.end(KEY_REVOKED)


def stop(at: Scene) -> None:
    at.hub._closing = True
    for session in at.sessions:
        session.end(SERVER_STOPPING)


def close_room(at: Scene) -> None:
    room = at.hub.get(room_key())
    if room is not None:
        room.close()


def vanish(at: Scene) -> None:
    at.device.socket.close()


def front_closes(at: Scene) -> None:
    stream = at.taken.stream
    assert isinstance(stream, trio.SocketStream)
    stream.socket.close()


@pytest.mark.parametrize("disturb", [cancel, revoke, stop, close_room, vanish, front_closes])
async def test_door_when_disturbed_at_any_step_then_nothing_is_left_and_everybody_is_told(
    monkeypatch: pytest.MonkeyPatch, disturb: Callable[[Scene], None]
) -> None:
    acted = 0
    for step in range(1, STEPS):
        async with scene(monkeypatch) as at:

            async def device(at: Scene = at) -> None:
                read = b""
                while data := await _read(at):
                    read += data
                    if PONG in read:
                        break
                at.device.socket.close()

            acted += await run_disturbed(at, step, disturb, device)
            await trio.testing.wait_all_tasks_blocked()
            assert at.hub.statuses() == [], step
            assert all(s.ended.is_set() for s in at.sessions), step
            started = [e.stream_id for e in at.events if isinstance(e, StreamStarted)]
            ended = [e.stream_id for e in at.events if isinstance(e, StreamEnded)]
            assert len(started) <= len(ended) <= 1, (step, at.events)
            if ended:
                assert isinstance(at.events[-1], StreamEnded), step
    assert acted > 20  # the door was still at work


@pytest.mark.parametrize("disturb", [revoke, cancel])
async def test_door_when_disturbed_at_any_step_then_what_the_device_reads_is_never_out_of_order(
    monkeypatch: pytest.MonkeyPatch, disturb: Callable[[Scene], None]
) -> None:
    outcomes = set()
    for step in range(1, STEPS):
        async with scene(monkeypatch) as at:
            read = bytearray()

            async def device(at: Scene = at, read: bytearray = read) -> None:
                while data := await _read(at):
                    read += data
                    if PONG in read or REVOKED in read:
                        break
                at.device.socket.close()

            await run_disturbed(at, step, disturb, device)
            assert not read or read.startswith(b"HTTP/1.1 101 "), (step, read)
            if REVOKED in read:
                assert read.endswith(REVOKED)
            outcomes.add((bool(read), READY in read, PONG in read, REVOKED in read))
    assert (True, True, True, False) in outcomes
    if disturb is revoke:
        assert (True, True, False, True) in outcomes


async def _read(at: Scene) -> bytes:
    try:
        return bytes(await at.device.receive_some(65536))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return b""
