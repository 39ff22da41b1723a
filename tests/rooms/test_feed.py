"""Pictures of a room that a relay decodes: for who wants them, while they are fresh, never before a camera's."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from streamhub.model.streams import Published, State
from streamhub.rooms.demand import POLL_S, Demand
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
        demand.come(pictures=False)
        await trio.sleep(100)
        demand.go()
        await wait_all_tasks_blocked()
        assert (demand.wanted, demand.watched) == (False, True)
        demand.go(pictures=False)
        assert not demand.watched
        nursery.cancel_scope.cancel()
    assert [(w, pytest.approx(t)) for w, t in told] == [(True, 1), (False, 41), (True, 46), (False, 146)]
