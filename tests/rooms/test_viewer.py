from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from streamhub.net.connection import DoorWire
from streamhub.rooms.latest import Latest
from streamhub.rooms.pump import Pump
from streamhub.rooms.viewer import FRAME_DEADLINE_S, Viewer
from tests.rooms.fakes import NoFdWire, Talk, plain, stream_pair

BIG = os.urandom(400_000)


@attrs.define(eq=False)
class Stage:
    """One viewer at work, and the peer's end of its connection."""

    viewer: Viewer
    talk: Talk
    peer: trio.SocketStream
    nursery: trio.Nursery
    ended: trio.Event = attrs.field(factory=trio.Event)

    async def run(self) -> None:
        await self.viewer.run()
        self.ended.set()

    async def show(self, jpeg: bytes, *, live: bool = True) -> None:
        self.viewer.latest.publish(jpeg, live=live)
        await self.viewer.pump.push()

    async def read(self, wanted: bytes) -> None:
        """Read exactly these bytes next."""
        data = b""
        with trio.fail_after(5):
            while len(data) < len(wanted):
                more = await self.peer.receive_some(len(wanted) - len(data))
                assert more, data[-100:]
                data += more
        assert data[:100] == wanted[:100]
        assert data == wanted

    async def end(self, within_s: float = 1) -> None:
        with trio.fail_after(within_s):
            await self.ended.wait()


@pytest.fixture(params=["raw", "tls"])
def wire_of(request: pytest.FixtureRequest) -> type[DoorWire]:
    return DoorWire if request.param == "raw" else NoFdWire


@asynccontextmanager
async def staged(wire_of: type[DoorWire], interval_s: float = 0.0, buffer_bytes: int = 0) -> AsyncIterator[Stage]:
    ours, theirs = stream_pair(buffer_bytes)
    latest, talk = Latest(), Talk()
    viewer = Viewer(wire_of(ours), latest, Pump(latest, plain), talk, interval_s)
    async with ours, theirs, trio.open_nursery() as nursery:
        stage = Stage(viewer, talk, theirs, nursery)
        nursery.start_soon(stage.run)
        yield stage
        nursery.cancel_scope.cancel()


async def test_viewer_when_it_starts_then_words_come_before_the_newest_picture(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        stage.talk.say = [b"HEAD", b"STATE"]
        stage.viewer.latest.publish(b"old", live=True)
        stage.viewer.latest.publish(b"one", live=True)
        await stage.read(b"HEADSTATE<one>")


async def test_viewer_when_pictures_come_then_it_gets_each_once(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await trio.testing.wait_all_tasks_blocked()
        for n in range(20):
            await stage.show(b"%d" % n)
            await stage.read(b"<%d>" % n)
        await trio.testing.wait_all_tasks_blocked()
        assert stage.viewer.sent == 20
        assert stage.viewer.seq == 20


async def test_viewer_when_there_is_only_a_retired_picture_then_it_waits_for_the_next(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        stage.viewer.latest.publish(b"stale", live=True)
        stage.viewer.latest.retire()
        await trio.testing.wait_all_tasks_blocked()
        assert stage.viewer.sent == 0
        await stage.show(b"placeholder", live=False)
        await stage.read(b"<placeholder>")


async def test_viewer_when_the_peer_closes_then_it_has_left(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.peer.aclose()
        await stage.end()
        assert stage.viewer.end_reason == "left"
        assert stage.viewer not in stage.viewer.pump.ready
        assert not stage.viewer.midway


async def test_viewer_when_the_connection_is_reset_then_it_has_left(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await stage.show(b"unread")
        await trio.testing.wait_all_tasks_blocked()
        await stage.peer.aclose()  # with unread bytes: a reset
        await stage.end()
        assert stage.viewer.end_reason == "left"


async def test_viewer_when_the_peer_goes_in_the_middle_of_a_picture_then_it_has_left(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.show(BIG)
        await trio.testing.wait_all_tasks_blocked()
        await stage.peer.aclose()
        await stage.end()
        assert stage.viewer.end_reason == "left"
        assert stage.viewer.midway


async def test_viewer_when_the_peer_talks_then_it_is_heard_until_it_talks_too_much(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.peer.send_all(b"x" * 900)
        await trio.testing.wait_all_tasks_blocked()
        await stage.show(b"one")
        await stage.read(b"<one>")
        await stage.peer.send_all(b"x" * 101)
        await stage.end()
        assert stage.talk.heard == b"x" * 1001


async def test_viewer_when_it_is_poked_then_the_words_come_before_the_next_picture(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await stage.show(b"one")
        await stage.read(b"<one>")
        await trio.testing.wait_all_tasks_blocked()
        stage.talk.say.append(b"stale!")
        stage.viewer.poke()
        await stage.show(b"two")  # in the same breath: the task has not run in between
        await stage.read(b"stale!<two>")


async def test_viewer_when_it_is_poked_inside_a_picture_then_the_words_follow_it(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.show(BIG)
        await trio.testing.wait_all_tasks_blocked()
        stage.talk.say.append(b"stale!")
        stage.viewer.poke()
        await stage.read(plain(BIG) + b"stale!")


async def test_viewer_when_it_is_behind_then_it_gets_the_newest_and_skips_the_rest(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.show(BIG)
        for n in range(50):
            await trio.testing.wait_all_tasks_blocked()
            await stage.show(b"%d" % n)
        await stage.read(plain(BIG) + b"<49>")
        await trio.testing.wait_all_tasks_blocked()
        assert stage.viewer.sent == 2


async def test_viewer_when_the_buffers_were_full_between_pictures_then_it_goes_on_with_the_newest() -> None:
    async with staged(DoorWire, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        sent = 0
        while stage.viewer.pump.ready and sent < 100:  # small pictures fit whole, until one does not fit at all
            await stage.show(b"%03d" % sent * 100)
            sent += 1
        assert stage.viewer.rest is None
        whole = stage.viewer.sent
        for n in range(3):
            await trio.testing.wait_all_tasks_blocked()
            await stage.show(b"new%d" % n)
        await stage.read(b"".join(plain(b"%03d" % n * 100) for n in range(whole)) + b"<new2>")


@pytest.mark.parametrize("size", [400_000, 300], ids=["inside a picture", "between pictures"])
async def test_viewer_when_it_reads_nothing_for_ten_seconds_then_it_is_closed(
    wire_of: type[DoorWire], size: int
) -> None:
    async with staged(wire_of, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        sent = -1
        while stage.viewer.sent != sent:  # until a picture does not get through
            sent = stage.viewer.sent
            await stage.show(bytes(size))
            await trio.testing.wait_all_tasks_blocked()
        stalled_at = trio.current_time()
        await stage.end(FRAME_DEADLINE_S + 1)
        assert stage.viewer.end_reason == "stalled"
        assert trio.current_time() - stalled_at == pytest.approx(FRAME_DEADLINE_S)


async def test_viewer_when_it_reads_one_byte_a_second_then_it_is_closed_as_stalled(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.show(BIG)
        began = trio.current_time()

        async def sip() -> None:
            while True:
                await trio.sleep(1)
                await stage.peer.receive_some(1)

        stage.nursery.start_soon(sip)
        await stage.end(FRAME_DEADLINE_S + 1)
        assert trio.current_time() - began == pytest.approx(FRAME_DEADLINE_S)
        assert stage.viewer.end_reason == "stalled"
        assert stage.viewer.midway


async def test_viewer_when_it_reads_a_picture_in_just_under_the_deadline_then_it_stays(
    wire_of: type[DoorWire],
) -> None:
    async with staged(wire_of, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            await stage.show(BIG)
            await trio.sleep(FRAME_DEADLINE_S - 0.5)
            await stage.read(plain(BIG))
            await trio.testing.wait_all_tasks_blocked()
        assert not stage.ended.is_set()
        assert stage.viewer.sent == 3


async def test_viewer_when_it_is_dismissed_inside_a_picture_then_it_ends_at_once(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.show(BIG)
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        stage.viewer.dismiss()
        await stage.end()
        assert trio.current_time() == before
        assert (stage.viewer.end_reason, stage.viewer.midway) == ("dismissed", True)


async def test_viewer_when_it_is_dismissed_after_a_partial_write_then_it_was_inside_a_picture() -> None:
    async with staged(DoorWire, buffer_bytes=4096) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await stage.show(BIG)
        stage.viewer.dismiss()  # before its task has seen what the pump left
        await stage.end()
        assert stage.viewer.midway


async def test_viewer_when_it_is_dismissed_before_it_runs_then_it_ends_without_a_word(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        stage.talk.say = [b"HEAD"]
        stage.viewer.dismiss("expired")
        await stage.end()
        assert (stage.viewer.end_reason, stage.viewer.midway) == ("expired", True)  # the head may be half out


async def test_viewer_when_it_shows_no_life_then_it_ends_as_silent(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await trio.testing.wait_all_tasks_blocked()
        stage.talk.living = False
        stage.viewer.poke()
        await stage.end()
        assert (stage.viewer.end_reason, stage.viewer.midway) == ("silent", False)


async def test_viewer_when_a_ping_is_due_then_it_goes_out_in_time_with_and_without_pictures(
    wire_of: type[DoorWire],
) -> None:
    async with staged(wire_of) as stage:
        stage.talk.ping_every_s = 15
        stage.talk.start_pings()
        await trio.sleep(14.9)
        await stage.show(b"one")
        await stage.read(b"<one>")
        await trio.sleep(0.2)
        await stage.read(b"(ping)")
        await trio.sleep(15)
        await stage.read(b"(ping)")


@pytest.mark.parametrize("camera_fps", [30, 7, 1])
async def test_viewer_when_it_asked_for_fewer_pictures_then_it_gets_its_rate_on_average(
    wire_of: type[DoorWire], camera_fps: int
) -> None:
    async with staged(wire_of, interval_s=1 / 5) as stage:
        got: list[bytes] = []

        async def read() -> None:
            while True:
                got.extend((await stage.peer.receive_some(65536)).strip(b"<>").split(b"><"))

        stage.nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        for n in range(camera_fps * 6):
            await stage.show(b"%d" % n)
            await trio.sleep(1 / camera_fps)
        assert len(got) == pytest.approx(min(5, camera_fps) * 6, abs=1)
        numbers = [int(n) for n in got]
        assert numbers == sorted(set(numbers))


async def test_viewer_when_cancelled_then_it_leaves_the_ready_set(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await trio.testing.wait_all_tasks_blocked()
        stage.nursery.cancel_scope.cancel()
    assert not stage.viewer.pump.ready
    assert not stage.ended.is_set()


async def test_viewer_when_its_socket_is_closed_under_it_then_it_ends_without_an_error(wire_of: type[DoorWire]) -> None:
    async with staged(wire_of) as stage:
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(stage.viewer.wire._stream)  # type: ignore[attr-defined]
        await stage.end()
        assert stage.viewer not in stage.viewer.pump.ready
