"""Contract §7: who gets the room, who has to leave, and what the rows are told, also when it all happens at once."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import trio

from streamhub.model.streams import State, StreamEnded, StreamEvent, StreamStarted
from streamhub.rooms.pump import Pump
from tests.support.device import camera, dial, handshake, target, upgrade
from tests.support.media import Media, jpeg, room_key, serve_media
from tests.support.waiting import eventually

REPLACED = (4409, "replaced by new connection")


def told(media: Media) -> list[tuple[str, str]]:
    """Starts and ends in their order: (what or why, stream)."""
    found = []
    for event in media.events:
        if isinstance(event, StreamStarted):
            found.append(("started", event.stream_id))
        elif isinstance(event, StreamEnded):
            found.append((event.reason, event.stream_id))
    return found


def left_open(events: Iterable[StreamEvent]) -> set[str]:
    """The streams whose rows say active after these events."""
    rows: set[str] = set()
    for event in events:
        if isinstance(event, StreamStarted):
            rows.add(event.stream_id)
        elif isinstance(event, StreamEnded):
            rows.discard(event.stream_id)
    return rows


async def test_same_key_when_it_connects_again_then_the_new_one_wins_and_the_row_stays() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as old:
            await old.binary(jpeg(1))
            await old.sync()
            async with camera(media) as new:
                assert await old.closed() == REPLACED
                room = media.hub.get(room_key())
                assert room is not None
                assert room.state is State.LIVE
                await new.binary(jpeg(2))
                await new.sync()
                assert room.latest.jpeg == jpeg(2)
                assert left_open(media.events) == {"live-cam1/wscam-cam1_1"}
                assert [what for what, _ in told(media)] == ["started", "started"]
            await eventually(lambda: not left_open(media.events))
            assert told(media)[-1] == ("connection_lost", "live-cam1/wscam-cam1_1")


async def test_same_key_when_its_identity_is_another_then_the_old_row_ends_first() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media, identity="a") as old, camera(media, identity="b"):
            assert await old.closed() == REPLACED
            assert told(media) == [
                ("started", "live-cam1/a"),
                ("replaced", "live-cam1/a"),
                ("started", "live-cam1/b"),
            ]


async def test_another_key_when_the_room_is_live_then_room_busy_and_the_living_one_streams_on() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media, key="wsk_cam1_1") as living:
            async with handshake(media, key="wsk_cam1_2") as other:
                assert await other.refused() == ("4409", "room_busy", 4409, "room busy")
            await living.sync()
            assert media.results == ["accepted", "room_busy"]
            assert told(media) == [("started", "live-cam1/wscam-cam1_1")]


async def test_another_key_when_the_living_one_has_left_then_it_gets_the_room() -> None:
    with trio.fail_after(10):
        async with serve_media() as media:
            async with camera(media, key="wsk_cam1_1"):
                pass
            await eventually(lambda: not media.hub.statuses())
            async with camera(media, key="wsk_cam1_2"):
                pass


async def test_takeover_key_when_the_room_is_live_then_it_takes_it_and_the_other_cannot_take_it_back() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media, key="wsk_cam1_1") as old:
            media.authority.takeover.add("wsk_cam1_2")
            async with camera(media, key="wsk_cam1_2") as new:
                assert await old.closed() == REPLACED
                async with handshake(media, key="wsk_cam1_1") as back:
                    assert (await back.refused())[1] == "room_busy"
                await new.sync()


async def test_same_key_when_twenty_connect_at_once_then_one_stays_and_nineteen_are_told() -> None:
    ends: list[tuple[int, str]] = []

    async def come(media: Media) -> None:
        async with handshake(media) as device:
            found = await device.receive()
            if found is not None and found[0] == 1:
                found = await device.receive()
            assert found is not None
            assert found[0] == 8
            ends.append((int.from_bytes(found[1][:2], "big"), found[1][2:].decode()))

    with trio.fail_after(20):
        async with serve_media() as media:
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(come, media)
                await eventually(lambda: len(ends) == 19)
                assert len(media.hub.live_key_ids()) == 1
                nursery.cancel_scope.cancel()
            assert ends == [REPLACED] * 19
            await eventually(lambda: not left_open(media.events))


async def test_camera_when_replaced_before_its_start_is_written_then_no_row_is_left_open() -> None:
    with trio.fail_after(10):
        async with serve_media() as media:
            hold = trio.Event()

            async def ledger(event: StreamEvent) -> None:
                # As the real one: what is handed over first is written first, however long that takes.
                media.events.append(event)
                if isinstance(event, StreamEnded) and event.stream_id.endswith("/a"):
                    await hold.wait()

            media.door.emit = ledger
            async with camera(media, identity="a") as first, dial(media) as second:
                await second.send(upgrade(target(identity="b")))
                assert await first.closed() == REPLACED
                async with camera(media, identity="c"):
                    hold.set()
                    assert await second.head() == 101
                    await second.text()
                    assert await second.closed() == REPLACED
                    assert left_open(media.events) == {"live-cam1/c"}
            await eventually(lambda: not left_open(media.events))


async def test_camera_when_replaced_while_its_picture_is_on_the_way_to_viewers_then_the_new_one_s_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pushing, go_on = trio.Event(), trio.Event()
    push = Pump.push

    async def slow(self: Pump) -> None:
        if pushing.is_set():
            return await push(self)
        pushing.set()
        with trio.CancelScope(shield=True):
            await go_on.wait()
        return None

    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as old, dial(media) as viewer:
            await old.binary(jpeg(1))
            await old.sync()
            await viewer.send(b"GET /live/live/cam1/mjpeg HTTP/1.1\r\nHost: hub\r\n\r\n")
            assert await viewer.head() == 200
            room = media.hub.get(room_key())
            assert room is not None
            await eventually(lambda: bool(room.pumps["mjpeg"].ready))
            monkeypatch.setattr(Pump, "push", slow)
            await old.binary(jpeg(2))
            await pushing.wait()
            async with camera(media) as new:
                await new.binary(jpeg(3))
                await new.sync()
                assert room.latest.jpeg == jpeg(3)
                go_on.set()
                assert await old.closed() == REPLACED
                assert room.latest.jpeg == jpeg(3)
                assert room.state is State.LIVE
