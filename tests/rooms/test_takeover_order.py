"""Races around a source, each as a numbered list of what happens when."""

from __future__ import annotations

import trio
import trio.testing

from streamhub.model.streams import REPLACED, State
from tests.rooms.fakes import World, session
from tests.rooms.test_room import Watcher
from tests.support.media import jpeg

OLD, LATE, NEW = jpeg(10), jpeg(20), jpeg(30)


async def test_takeover_when_the_old_source_is_late_then_the_room_stays_live_and_shows_only_the_new() -> None:
    world, turn = World(), trio.testing.Sequencer()
    async with world.open_room() as room:
        old, new = session(), session()
        states: list[State] = []

        async def old_camera() -> None:
            async with turn(0):
                room.attach(old)
                await room.publish(old, OLD)
            async with turn(2):
                assert old.scope.cancel_called
                await room.publish(old, LATE)
                states.append(room.state)
            async with turn(4):
                assert not room.detach(old)
                states.append(room.state)

        async def new_camera() -> None:
            async with turn(1):
                old.end(REPLACED)
                room.attach(new)
                states.append(room.state)
            async with turn(3):
                await room.publish(new, NEW)

        watcher = Watcher(room)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(old_camera)
            nursery.start_soon(new_camera)
        assert states == [State.LIVE] * 3
        got = await watcher.got()
        assert LATE not in got
        assert NEW in got
        assert b"[offline" not in got.partition(NEW)[2]
        assert room.session is new


async def test_takeover_when_the_new_source_leaves_before_the_old_has_then_the_room_is_offline() -> None:
    world, turn = World(), trio.testing.Sequencer()
    async with world.open_room() as room:
        old, new = session(), session()

        async def old_camera() -> None:
            async with turn(0):
                room.attach(old)
                await room.publish(old, OLD)
            async with turn(3):
                assert not room.detach(old)
                await room.publish(old, LATE)

        async def new_camera() -> None:
            async with turn(1):
                old.end(REPLACED)
                room.attach(new)
            async with turn(2):
                assert room.detach(new)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(old_camera)
            nursery.start_soon(new_camera)
        assert room.state is State.OFFLINE
        assert room.session is None
        assert room.latest.jpeg == b""  # neither picture is left to be shown


async def test_state_text_when_a_picture_comes_back_then_it_precedes_the_picture_for_ws_viewers() -> None:
    world, turn = World(), trio.testing.Sequencer()
    async with world.open_room() as room:
        one, watcher = session(), Watcher(room, "ws")
        assert b"[offline" in await watcher.got()

        async def camera() -> None:
            async with turn(0):
                room.attach(one)
                watcher.talk.say.append(b"(connecting)")
            async with turn(2):
                watcher.talk.say.append(b"(live)")
                await room.publish(one, NEW)

        async def onlooker() -> None:
            async with turn(1):
                got = await watcher.got()
                assert got.index(b"(connecting)") < got.index(b"[connecting")
            async with turn(3):
                got = await watcher.got()
                assert got.index(b"(live)") < got.index(NEW)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(camera)
            nursery.start_soon(onlooker)
