"""Pictures of a room that a relay decodes: for who wants them, while they are fresh, never before a camera's."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from streamhub.model.streams import Published, State
from streamhub.rooms.demand import LIVEKIT_S, POLL_S, Demand
from streamhub.rooms.feed import PATIENCE_S, STALE_S, Feed
from streamhub.rooms.room import PLACEHOLDER_EVERY_S
from tests.rooms.fakes import World, at, session
from tests.rooms.test_room import Watcher
from tests.support.media import jpeg

ONE, TWO = jpeg(1), jpeg(2)
PLACEHOLDER = b"[live live-cam1]"


async def test_feed_then_its_pictures_are_the_rooms_for_those_who_take_any() -> None:
    world = World()
    async with world.open_room() as room:
        feed = Feed("relay", at(0))
        room.attach_feed(feed)
        assert room.shown == (State.LIVE, at(0))
        wants, plays = Watcher(room, "ws"), Watcher(room, "camera_ws")
        assert (room.demand.wanted, room.demand.watched) == (True, True)
        await plays.got()
        await room.publish_feed(feed, ONE)
        assert room.pictured_at == at(trio.current_time())
        assert ONE in await wants.got()
        assert ONE not in await plays.got(), "a page that plays by WebRTC is spared them"
        assert room.status().viewers == {"mjpeg": 0, "ws": 2, "hls": 0}
        room.remove_viewer(wants.viewer)
        assert (room.demand.wanted, room.demand.watched) == (False, True)
        room.rest_feed(feed)
        assert room.pictured_at is None
        room.detach_feed(feed)
        assert room.shown[0] is State.OFFLINE


async def test_feed_when_it_falls_silent_then_the_placeholder_comes_and_goes_again() -> None:
    world = World()
    async with world.open_room() as room:
        feed = Feed("relay", at(0))
        room.attach_feed(feed)
        watcher = Watcher(room)
        await trio.sleep(PATIENCE_S - 1)
        assert await watcher.got() == b"", "its first picture is on its way: nobody is told that there is none"
        await trio.sleep(1 + PLACEHOLDER_EVERY_S)
        assert PLACEHOLDER in await watcher.got()
        await room.publish_feed(feed, ONE)
        assert ONE in await watcher.got()
        for _ in range(8):
            await trio.sleep(STALE_S / 2)
            await room.publish_feed(feed, TWO)
        assert PLACEHOLDER not in await watcher.got()
        await trio.sleep(STALE_S + PLACEHOLDER_EVERY_S + 0.1)
        assert PLACEHOLDER in await watcher.got()
        assert room.pictured_at is None


async def test_feed_when_a_camera_is_there_or_another_feed_came_first_then_it_is_not_shown() -> None:
    world = World()
    async with world.open_room() as room:
        first, second = Feed("a", at(0)), Feed("b", at(0))
        room.attach_feed(first)
        room.attach_feed(second)
        await room.publish_feed(second, TWO)
        assert room.latest.jpeg != TWO
        await room.publish_feed(first, ONE)
        assert room.latest.jpeg == ONE
        room.detach_feed(first)
        assert room.pictured_at is None
        await room.publish_feed(second, TWO)
        assert room.latest.jpeg == TWO
        camera = session()
        room.attach(camera)
        await room.publish_feed(second, ONE)
        room.rest_feed(second)
        assert room.latest.jpeg == TWO
        await room.publish(camera, ONE)
        assert room.pictured_at == at(trio.current_time())
        room.detach_feed(second)
        assert room.latest.jpeg == ONE


async def test_room_when_livekit_tells_of_publishers_then_that_state_is_shown_before_the_feeds() -> None:
    world = World()
    async with world.open_room() as room:
        room.attach_feed(Feed("relay", at(0)))
        room.publishing(Published(State.STALE, at(1), 1))
        assert room.shown == (State.STALE, at(1))


async def test_demand_when_livekit_is_expected_or_looked_on_then_it_is_wanted_and_a_while_after() -> None:
    demand, told = Demand(), list[tuple[bool, float]]()

    async def follow() -> None:
        while True:
            await demand.wait(lambda d: d.livekit_wanted)
            told.append((True, trio.current_time()))
            await demand.wait(lambda d: not d.livekit_wanted)
            told.append((False, trio.current_time()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.sleep(1)
        demand.want_livekit()
        assert (demand.watched, demand.wanted) == (True, False)
        await trio.sleep(LIVEKIT_S + 9)
        demand.look_on(2)
        await trio.sleep(100)
        demand.look_on(1)
        demand.look_on(0)
        demand.look_on(0)
        await trio.sleep(LIVEKIT_S + 10)
        nursery.cancel_scope.cancel()
    assert [(w, pytest.approx(t)) for w, t in told] == [(True, 1), (False, 31), (True, 40), (False, 170)]


async def test_demand_during_then_the_child_ends_a_while_after_nobody_wants_it() -> None:
    demand, ran = Demand(), list[float]()

    async def child() -> str:
        try:
            await trio.sleep(100)
        finally:
            ran.append(trio.current_time())
        return "done"

    async with trio.open_nursery() as nursery:

        async def come_and_go() -> None:
            for _ in range(3):
                demand.come()
                await trio.sleep(10)
                demand.go()
                await trio.sleep(4)

        nursery.start_soon(come_and_go)
        await wait_all_tasks_blocked()
        assert await demand.during(lambda d: d.wanted, child, linger_s=5) is None
        assert ran == [pytest.approx(43)]
        demand.come()
        assert await demand.during(lambda d: d.wanted, child) == "done"


async def test_demand_then_polls_are_remembered_for_a_while_and_waits_end() -> None:
    demand, told = Demand(), list[tuple[bool, float]]()

    async def follow() -> None:
        while True:
            await demand.wait(lambda d: d.wanted)
            told.append((True, trio.current_time()))
            await demand.wait(lambda d: not d.wanted)
            told.append((False, trio.current_time()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await trio.sleep(1)
        demand.poll()
        await trio.sleep(10)
        demand.poll()
        await trio.sleep(POLL_S + 5)
        demand.come()
        demand.come("page")
        await trio.sleep(100)
        demand.go()
        await wait_all_tasks_blocked()
        assert (demand.wanted, demand.watched) == (False, True)
        demand.go("page")
        assert not demand.watched
        nursery.cancel_scope.cancel()
    assert [(w, pytest.approx(t)) for w, t in told] == [(True, 1), (False, 41), (True, 46), (False, 146)]
