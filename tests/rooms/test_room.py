from __future__ import annotations

import math
import socket
from functools import partial

import pytest
import trio
import trio.testing

from streamhub.errors import Unavailable
from streamhub.model.streams import State, StreamChanged
from streamhub.net.connection import DoorWire
from streamhub.rooms.room import (
    HOST_GRACE_S,
    PLACEHOLDER_DEADLINE_S,
    PLACEHOLDER_EVERY_S,
    REPORT_DEADLINE_S,
    Output,
    Room,
)
from streamhub.rooms.viewer import Viewer
from tests.rooms.fakes import KEY, START, Talk, World, at, session
from tests.support.media import jpeg

LIVE = jpeg(1)


class Watcher:
    """A viewer seated in a room; collects what it was sent."""

    def __init__(self, room: Room, output: Output = "mjpeg") -> None:
        ours, self.peer = socket.socketpair()
        for end in (ours, self.peer):
            end.setblocking(False)
        self.wire = DoorWire(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        self.ended = trio.Event()
        self.talk = Talk()
        pump = room.pumps[output]
        self.viewer = Viewer(self.wire, pump.latest, pump, self.talk)
        room.add_viewer(self.viewer, output)
        room.adopt("viewer", self._run)

    async def _run(self) -> None:
        try:
            await self.viewer.run()
        finally:
            self.ended.set()
            await self.wire.close()

    async def got(self) -> bytes:
        """What has come since the last question."""
        await trio.testing.wait_all_tasks_blocked()
        try:
            return self.peer.recv(1 << 20)
        except BlockingIOError:
            return b""

    def __del__(self) -> None:
        self.peer.close()


async def states(world: World) -> list[tuple[str, State]]:
    await trio.testing.wait_all_tasks_blocked()
    return [(e.stream_id, e.state) for e in world.events if isinstance(e, StreamChanged)]


async def test_room_when_a_source_comes_and_goes_then_its_state_follows_and_is_reported() -> None:
    world = World()
    async with world.open_room() as room:
        assert (room.state, room.status().since, room.status().source) == (State.OFFLINE, None, None)
        await trio.sleep(1)
        one = session()
        room.attach(one)
        assert (room.state, room.status().since) == (State.CONNECTING, at(1))
        await trio.sleep(1)
        await room.publish(one, LIVE)
        assert (room.state, room.status().since) == (State.LIVE, at(2))
        await trio.sleep(3.1)
        assert (room.state, room.status().since) == (State.STALE, at(5))
        await room.publish(one, LIVE)
        await trio.sleep(1)
        assert room.detach(one)
        assert (room.state, room.status().since) == (State.OFFLINE, at(6.1))
        assert not room.detach(one)
        assert await states(world) == [(one.stream_id, s) for s in (State.LIVE, State.STALE, State.LIVE)]
        assert [e.at for e in world.events] == [at(2), at(5), at(5.1)]
    assert world.errors == []


async def test_room_when_frames_come_slowly_but_steadily_then_it_stays_live() -> None:
    world = World()
    async with world.open_room() as room:
        one = session()
        room.attach(one)
        for _ in range(3):
            await room.publish(one, LIVE)
            await trio.sleep(2.5)
        for _ in range(5):
            await room.publish(one, LIVE)
            await trio.sleep(5)
        assert room.state is State.LIVE


async def test_publish_when_the_source_was_replaced_then_it_is_ignored() -> None:
    world = World()
    async with world.open_room() as room:
        old, new = session(), session()
        room.attach(old)
        await room.publish(old, LIVE)
        await trio.sleep(1)
        room.attach(new)
        assert new.started_at == old.started_at  # the publication goes on
        await room.publish(old, b"late")
        assert (room.latest.jpeg, room.latest.seq) == (LIVE, 1)
        assert room.session is new
        assert not room.detach(old)
        assert room.state is State.LIVE


async def test_report_when_another_stream_takes_over_then_it_waits_for_that_streams_first_frame() -> None:
    world = World()
    async with world.open_room() as room:
        old = session()
        room.attach(old)
        await room.publish(old, LIVE)
        assert await states(world) == [(old.stream_id, State.LIVE)]
        await trio.sleep(1)
        new = session("live-cam1/two", "wsi_2")
        room.attach(new)
        assert new.started_at == at(1)
        assert await states(world) == [(old.stream_id, State.LIVE)]  # the door has not told of the new one yet
        await room.publish(new, LIVE)
        room._poked.set()
        assert await states(world) == [(old.stream_id, State.LIVE), (new.stream_id, State.LIVE)]


async def test_placeholder_when_a_viewer_comes_to_an_offline_room_then_it_is_shown_at_once_and_every_5_s() -> None:
    world = World()
    async with world.open_room() as room:
        await trio.sleep(7)
        assert world.drawn == []  # nobody looks
        watcher = Watcher(room)
        assert (await watcher.got()).count(b"[offline live-cam1]") == 1
        await trio.sleep(PLACEHOLDER_EVERY_S - 0.1)
        assert await watcher.got() == b""
        for _ in range(5):
            await trio.sleep(PLACEHOLDER_EVERY_S)
            assert (await watcher.got()).count(b"[offline live-cam1]") == 1
        assert world.drawn == [(State.OFFLINE, None, None)]  # drawn once, however often it is shown
        assert not room.latest.live


async def test_placeholder_when_the_camera_goes_then_it_has_the_size_of_its_picture_and_says_since_when() -> None:
    world = World()
    async with world.open_room() as room:
        watcher, one = Watcher(room), session()
        room.attach(one)
        await room.publish(one, LIVE)
        await trio.sleep(3.5)
        assert b"[stale live-cam1]" in await watcher.got()
        assert world.drawn[-1] == (State.STALE, at(3), (32, 24))
        room.detach(one)
        assert (await watcher.got()).count(b"[offline live-cam1]") == 1
        assert world.drawn[-1] == (State.OFFLINE, at(3.5), (32, 24))


async def test_placeholder_when_the_picture_comes_back_then_it_is_not_repeated() -> None:
    world = World()
    async with world.open_room() as room:
        watcher, one = Watcher(room), session()
        assert b"[offline" in await watcher.got()
        room.attach(one)
        assert b"[connecting" in await watcher.got()
        for _ in range(8):
            await room.publish(one, LIVE)
            assert (await watcher.got()).count(LIVE) == 1
            await trio.sleep(1)
        assert [d[0] for d in world.drawn] == [State.OFFLINE, State.CONNECTING]


async def test_placeholder_when_the_picture_comes_back_while_it_is_drawn_then_it_is_not_shown() -> None:
    world = World(drawing_s=2)
    async with world.open_room() as room:
        watcher, one = Watcher(room), session()
        await trio.sleep(1)
        room.attach(one)
        await room.publish(one, LIVE)
        await trio.sleep(1.5)
        got = await watcher.got()
        assert got.count(b"Content-Length") == 1
        assert LIVE in got
        assert room.latest.live


async def test_viewer_when_it_comes_to_a_room_whose_camera_has_gone_then_it_never_sees_the_old_picture() -> None:
    for _ in range(20):  # who runs first is chance
        world = World()
        async with world.open_room() as room:
            one = session()
            room.attach(one)
            await room.publish(one, LIVE)
            room.detach(one)
            got = await Watcher(room).got()
            assert LIVE not in got
            assert got.count(b"[offline") == 1


async def test_viewer_when_it_comes_to_a_stale_room_then_it_never_sees_the_old_picture() -> None:
    world = World(drawing_s=0.5)
    async with world.open_room() as room:
        one = session()
        room.attach(one)
        await room.publish(one, LIVE)
        await trio.sleep(4)
        watcher = Watcher(room)
        assert await watcher.got() == b""
        await trio.sleep(0.6)
        got = await watcher.got()
        assert b"[stale" in got
        assert LIVE not in got


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
async def test_report_when_the_database_is_in_trouble_then_states_and_placeholders_go_on(trouble: str) -> None:
    world = World(trouble=trouble)
    async with world.open_room() as room:
        watcher, one = Watcher(room), session()
        room.attach(one)
        await room.publish(one, LIVE)
        await trio.sleep(REPORT_DEADLINE_S + 1)
        assert room.state is State.STALE
        assert b"[stale" in await watcher.got()
        await trio.sleep(REPORT_DEADLINE_S)
        assert [where for where, _ in world.errors] == ["report", "report"]  # live and stale, each once


async def test_placeholder_when_there_is_no_time_to_draw_it_then_it_is_drawn_later_and_the_states_go_on() -> None:
    world = World(drawing_s=PLACEHOLDER_DEADLINE_S + 1)
    async with world.open_room() as room:
        watcher = Watcher(room)
        await trio.sleep(PLACEHOLDER_DEADLINE_S + 0.5)
        world.drawing_s = 0
        assert await watcher.got() == b""
        await trio.sleep(PLACEHOLDER_DEADLINE_S)
        assert b"[offline" in await watcher.got()
        assert world.errors == []


async def test_watch_when_drawing_fails_then_it_is_reported_and_tried_again_later() -> None:
    world = World(drawing_fails=2)
    async with world.open_room() as room:
        watcher = Watcher(room)
        assert await watcher.got() == b""
        await trio.sleep(0.7)
        assert [where for where, _ in world.errors] == ["watch", "watch"]
        await trio.sleep(1.3)
        assert b"[offline" in await watcher.got()
        assert len(world.errors) == 2


async def test_status_when_there_are_viewers_then_they_are_counted_by_output() -> None:
    world = World()
    async with world.open_room() as room:
        watchers = [Watcher(room, "mjpeg"), Watcher(room, "ws"), Watcher(room, "ws")]
        room.attach(session())
        status = room.status()
        assert status.viewers == {"mjpeg": 1, "ws": 2, "hls": 0}
        assert status.key == KEY
        assert status.source is not None
        assert status.source.started_at == START
        room.remove_viewer(watchers[1].viewer)
        room.remove_viewer(watchers[1].viewer)
        assert room.status().viewers == {"mjpeg": 1, "ws": 1, "hls": 0}


async def test_state_when_it_changes_then_only_viewers_that_are_told_are_poked() -> None:
    world = World()
    async with world.open_room() as room:
        mjpeg, ws = Watcher(room, "mjpeg"), Watcher(room, "ws")
        await trio.testing.wait_all_tasks_blocked()
        room.attach(session())
        assert mjpeg.viewer in room.pumps["mjpeg"].ready
        assert ws.viewer not in room.pumps["ws"].ready


async def test_host_when_the_child_ends_then_it_returns() -> None:
    world = World()
    async with world.open_room() as room:
        with trio.fail_after(1):
            await room.host("ingest", partial(trio.sleep, 0.5))


async def test_host_when_the_child_fails_then_the_error_is_reported_and_stays_there() -> None:
    world = World()

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("bug")

    async with world.open_room() as room:
        await room.host("ingest", fail)
        assert [(w, type(e)) for w, e in world.errors] == [("ingest", KeyError)]
        await room.host("ingest", trio.lowlevel.checkpoint)  # the room goes on


async def test_host_when_the_caller_is_cancelled_then_the_child_is_too_and_has_ended_before_it_returns() -> None:
    world, order = World(), []

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await trio.sleep(1)
            order.append("child")

    async with world.open_room() as room:
        with trio.move_on_after(1) as scope:
            await room.host("ingest", child)
        order.append("caller")
    assert scope.cancelled_caught
    assert order == ["child", "caller"]


async def test_host_when_the_child_does_not_end_then_the_cancelled_caller_waits_only_so_long() -> None:
    world = World()

    async def stubborn() -> None:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 60):
            await trio.sleep_forever()

    async with world.open_room() as room:
        with trio.move_on_after(1):
            await room.host("ingest", stubborn)
        assert trio.current_time() == pytest.approx(1 + HOST_GRACE_S)


async def test_host_when_the_room_closes_then_it_returns() -> None:
    world = World()
    async with world.open_room() as room, trio.open_nursery() as nursery:
        nursery.start_soon(room.host, "ingest", trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        room.close()
        with trio.fail_after(1):
            await room.closed.wait()


async def test_adopt_when_the_child_fails_then_only_it_ends() -> None:
    world = World()

    async def fail() -> None:
        await trio.sleep(1)
        raise OSError("bug")

    async with world.open_room() as room:
        room.adopt("one", fail)
        watcher = Watcher(room)
        await trio.sleep(2)
        assert b"[offline" in await watcher.got()
        assert [w for w, _ in world.errors] == ["one"]


async def test_adopt_when_the_room_is_closed_then_it_is_unavailable() -> None:
    world = World()
    async with world.open_room() as room:
        pass
    await room.closed.wait()
    with pytest.raises(Unavailable) as caught:
        room.adopt("late", trio.sleep_forever)
    assert caught.value.code == "room_closing"
    room.close()  # again: nothing happens


async def test_run_when_it_was_closed_before_it_ran_then_it_ends_at_once() -> None:
    world = World()
    room = world.room()
    room.close()
    with trio.fail_after(1):
        await room.run()
    assert room.opened.is_set()
    assert room.closed.is_set()


async def test_run_when_cancelled_then_viewers_and_watch_end() -> None:
    world = World()
    async with trio.open_nursery() as nursery:
        room = world.room()
        nursery.start_soon(room.run)
        await room.opened.wait()
        watcher = Watcher(room)
        assert b"[offline" in await watcher.got()
        nursery.cancel_scope.cancel()
    assert room.closed.is_set()
    assert not room.pumps["mjpeg"].ready
    assert math.isfinite(trio.current_time())
