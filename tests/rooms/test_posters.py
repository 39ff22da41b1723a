"""A room's last picture: kept when it is live no more, with its time, and never shown as live."""

from __future__ import annotations

import attrs
import trio

from streamhub.model.names import AppName
from streamhub.rooms.feed import STALE_S, Feed
from streamhub.rooms.posters import Poster, Posters
from streamhub.rooms.room import PLACEHOLDER_EVERY_S
from tests.rooms.fakes import KEY, World, at, session
from tests.rooms.test_room import Watcher
from tests.support.media import jpeg, room_key

ONE, TWO = jpeg(1), jpeg(2)


async def test_poster_of_a_camera_then_it_is_the_newest_picture_and_stays_when_that_is_live_no_more() -> None:
    world = World()
    async with world.open_room() as room:
        assert room.poster is None
        camera = session()
        room.attach(camera)
        assert room.poster is None
        await room.publish(camera, ONE)
        assert room.poster == Poster(ONE, at(0))
        await trio.sleep(1)
        await room.publish(camera, TWO)
        assert room.poster == Poster(TWO, at(1))
        await trio.sleep(5)  # stale
        assert room.pictured_at is None
        assert room.poster == Poster(TWO, at(1))
        await room.publish(camera, ONE)
        room.detach(camera)
        assert room.latest.jpeg == b"", "nobody who comes now is shown it as live"
        assert room.poster == Poster(ONE, at(6))
        again = session()
        room.attach(again)
        assert room.poster == Poster(ONE, at(6)), "until the next one comes"


async def test_poster_when_a_camera_leaves_while_its_placeholder_is_shown_then_the_picture_before_it_is_kept() -> None:
    world = World()
    async with world.open_room() as room:
        camera = session()
        room.attach(camera)
        watcher = Watcher(room)
        await room.publish(camera, ONE)
        await trio.sleep(3.5 + PLACEHOLDER_EVERY_S)
        assert b"[stale live-cam1]" in await watcher.got()
        room.detach(camera)
        assert room.poster == Poster(ONE, at(0))


async def test_poster_of_a_feed_when_it_rests_falls_silent_or_ends_then_its_last_picture_is_kept() -> None:
    world = World()
    async with world.open_room() as room:
        feed = Feed("relay", at(0))
        room.attach_feed(feed)
        await room.publish_feed(feed, ONE)
        room.rest_feed(feed)
        assert room.poster == Poster(ONE, at(0))
        Watcher(room)
        await trio.sleep(1)
        await room.publish_feed(feed, TWO)
        await trio.sleep(STALE_S + PLACEHOLDER_EVERY_S + 0.1)
        assert room.pictured_at is None
        assert room.poster == Poster(TWO, at(1))
        await room.publish_feed(feed, ONE)
        room.detach_feed(feed)
        assert room.poster is not None
        assert room.poster.jpeg == ONE


def test_posters_when_they_are_too_many_then_the_oldest_go() -> None:
    posters = Posters(most_bytes=100)
    one = Poster(b"x" * 40, at(0))
    for name in ("a", "b", "a", "c"):
        posters.keep(room_key(name), one)
    assert posters.find(room_key("b")) is None
    assert posters.find(room_key("a")) == posters.find(room_key("c")) == one
    posters.keep(room_key("huge"), Poster(b"x" * 101, at(0)))
    assert posters.find(room_key("huge")) is None
    assert posters.find(room_key("c")) is None


def test_posters_when_an_app_is_gone_then_so_are_its_pictures() -> None:
    posters = Posters()
    other = attrs.evolve(KEY, app=AppName("other"))
    for key in (KEY, other):
        posters.keep(key, Poster(ONE, at(0)))
    posters.forget_app(KEY.app)
    assert posters.find(KEY) is None
    assert posters.find(other) is not None
