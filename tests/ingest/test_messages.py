"""Contract §3 and the rest of RFC 6455: what a device may say, and how connections end."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import trio

from streamhub.model.streams import StatsReported, StreamEnded
from streamhub.rooms.room import Room
from tests.support.device import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Device,
    camera,
    close_frame,
    frame,
)
from tests.support.media import Media, jpeg, room_key, serve_media
from tests.support.waiting import eventually


def room_of(media: Media) -> Room:
    room = media.hub.get(room_key())
    assert room is not None
    return room


def memory(media: Media) -> dict[str, object] | None:
    source = room_of(media).status().source
    assert source is not None
    return json.loads(source.stats_json) if source.stats_json else None


async def test_stats_when_sent_then_our_figures_override_the_device_s(jump_clock: trio.testing.MockClock) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.binary(*[jpeg()] * 17)  # in one read with the stats, or in two: it must not matter
            await device.stats(rssi=-61, live=False, framesReceived=-1, framesDroppedFps="x", viewers=99, ts=0, type2=1)
            await device.sync()
            stats = memory(media)
            assert stats is not None
            at = datetime.fromisoformat(str(stats.pop("ts")))
            assert datetime.now(UTC) - at < timedelta(minutes=1)
            assert stats == {
                "rssi": -61,
                "type2": 1,
                "live": True,
                "framesReceived": 15,
                "framesDroppedFps": 2,
                "viewers": 0,
            }
            await device.send(close_frame(1000))
            await ended(media)
            (event,) = [e for e in media.events if isinstance(e, StatsReported)]
            assert (event.room, event.stream_id) == (room_key(), "live-cam1/wscam-cam1_1")
            assert json.loads(event.stats_json)["rssi"] == -61


def written(media: Media) -> list[int]:
    return [json.loads(e.stats_json)["n"] for e in media.events if isinstance(e, StatsReported)]


async def test_stats_when_sent_often_then_memory_has_the_newest_and_the_row_gets_it_every_five_seconds(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media, camera(media) as device:
        await trio.sleep(0.5)
        for n in range(12):
            await device.stats(n=n)
            await device.sync()
            stats = memory(media)
            assert stats is not None
            assert stats["n"] == n
            await trio.sleep(1)
        assert written(media) == [4, 9]
        await trio.sleep(5)
        assert written(media) == [4, 9, 11]
        await trio.sleep(5)
        assert written(media) == [4, 9, 11]


async def test_stats_when_the_camera_leaves_then_its_last_are_written_before_the_end() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.stats(n=1)
            await device.stats(n=2)
            await device.send(close_frame(1000))
            assert await device.closed() == (1000, "")
            await ended(media, "closed")
            assert written(media) == [2]
            assert [type(e) for e in media.events[-2:]] == [StatsReported, StreamEnded]


async def test_stats_when_they_come_in_one_read_with_a_picture_then_they_count_it() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.send(frame(BINARY, jpeg()), frame(TEXT, b'{"type":"stats"}'))
            await device.sync()
            stats = memory(media)
            assert stats is not None
            assert stats["framesReceived"] == 1


async def test_stats_when_the_database_hangs_then_the_picture_goes_on(jump_clock: trio.testing.MockClock) -> None:
    async with serve_media() as media, camera(media) as device:

        async def hangs(_event: object) -> None:
            await trio.sleep_forever()

        media.door.emit = hangs
        await device.stats(n=1)
        await trio.sleep(5.5)  # the row is being written now, for five seconds
        began = trio.current_time()
        await device.binary(jpeg(4))
        await device.sync()
        assert trio.current_time() == began
        assert room_of(media).latest.jpeg == jpeg(4)
        stats = memory(media)
        assert stats is not None
        assert stats["n"] == 1


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"{",
        b"[1]",
        b'{"type":"hello"}',
        b"\xff\xfe\xfd",
        b'{"type":"stats","x":"' + b"x" * 5000 + b'"}',
        b'{"type":"stats","x":' + b"[" * 100_000,
    ],
)
async def test_text_when_it_is_no_stats_message_then_it_is_ignored(text: bytes) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.send(frame(TEXT, text))
            await device.binary(jpeg(2))
            await device.sync()
            assert memory(media) is None
            assert room_of(media).latest.jpeg == jpeg(2)


async def test_text_when_fragmented_inside_a_character_then_it_is_whole_again() -> None:
    text = '{"type":"stats","note":"ü€😀"}'.encode()
    at = text.index("€".encode()) + 1
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.send(frame(TEXT, text[:at], fin=False), frame(CONT, text[at:]))
            await device.sync()
            stats = memory(media)
            assert stats is not None
            assert stats["note"] == "ü€😀"


async def test_ping_when_the_device_sends_one_then_it_gets_its_payload_back() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.send(frame(PING, b""), frame(PING, b"x" * 125))
            assert await device.receive() == (PONG, b"")
            assert await device.receive() == (PONG, b"x" * 125)


async def test_pong_when_nobody_asked_then_it_is_fine() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.send(frame(PONG, b"hi"))
            await device.sync()


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("not masked", frame(BINARY, jpeg(), masked=False)),
        ("an opcode nobody knows", frame(3, b"x")),
        ("a reserved bit", frame(BINARY, jpeg(), first=0x10)),
        ("a continuation of nothing", frame(CONT, b"x")),
        ("a message inside another", frame(BINARY, b"x", fin=False) + frame(BINARY, b"y")),
        ("a ping in pieces", frame(PING, b"x", fin=False)),
        ("a long ping", frame(PING, b"x" * 126)),
        ("a close of one byte", frame(CLOSE, b"x")),
        ("a close with a code not for the wire", close_frame(1006)),
    ],
)
async def test_frame_when_it_breaks_the_protocol_then_1002(what: str, data: bytes) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.send(data)
            code, _ = await device.closed()
            assert code == 1002, what
            await ended(media)


async def ended(media: Media, reason: str | None = None) -> StreamEnded:
    """The one end of the one stream, once it is told."""
    await eventually(lambda: any(isinstance(e, StreamEnded) for e in media.events))
    (event,) = [e for e in media.events if isinstance(e, StreamEnded)]
    assert reason is None or event.reason == reason
    return event


async def test_close_when_the_device_says_1000_then_it_is_echoed_and_the_row_ends() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.binary(jpeg())
            await device.send(close_frame(1000, "bye"))
            assert await device.closed() == (1000, "bye")
            await ended(media, "closed")
            assert media.hub.statuses() == []


async def test_close_when_the_device_gives_no_code_then_it_is_echoed_without_one() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.send(frame(CLOSE))
            assert await device.receive() == (CLOSE, b"")
            assert await device.receive() is None
            await ended(media, "closed")


async def test_close_when_a_frame_came_right_before_it_then_the_frame_counts() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.binary(jpeg(1))
            await device.send(frame(BINARY, jpeg(2)), close_frame(1000), frame(BINARY, jpeg(3)))
            assert await device.closed() == (1000, "")
            await ended(media, "closed")
            assert media.hub.totals.frames == 2


async def vanish_by_reset(device: Device) -> None:
    await device.cut()


async def vanish_by_end(device: Device) -> None:
    await trio.aclose_forcefully(device.stream)


async def vanish_by_half(device: Device) -> None:
    await device.stream.send_eof()
    assert await device.receive() is None


async def vanish_inside_a_frame(device: Device) -> None:
    await device.send(frame(BINARY, jpeg(pad=1000))[:500])
    await device.stream.send_eof()
    assert await device.receive() is None


@pytest.mark.parametrize("vanish", [vanish_by_reset, vanish_by_end, vanish_by_half, vanish_inside_a_frame])
async def test_connection_when_it_ends_without_a_close_then_the_row_says_it_was_lost(
    vanish: Callable[[Device], Awaitable[None]],
) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.binary(jpeg())
            await device.sync()
            await vanish(device)
            await ended(media, "connection_lost")
            await eventually(lambda: not media.hub.statuses() and not media.front.connections)
