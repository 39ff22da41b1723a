"""Contract §4: which binary messages become the picture, in the order of its table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from streamhub.ingest.camera_session import CameraConnection
from streamhub.model.access import CameraLimits
from streamhub.model.streams import SourceStatus
from streamhub.rooms.room import Room
from tests.support.device import BINARY, CLOSE, CONT, Device, camera, frame
from tests.support.media import Authority, Media, jpeg, room_key, serve_media

BAD = b"GIF89a not a JPEG"


@asynccontextmanager
async def streaming(**limits: int) -> AsyncIterator[tuple[Media, Device, Room]]:
    with trio.fail_after(15):
        async with serve_media(Authority(CameraLimits(**limits))) as media, camera(media) as device:
            room = media.hub.get(room_key())
            assert room is not None
            yield media, device, room


def source(room: Room) -> SourceStatus:
    found = room.status().source
    assert found is not None
    return found


async def test_frame_when_good_then_it_is_the_room_s_picture_byte_for_byte() -> None:
    async with streaming() as (media, device, room):
        picture = jpeg(7, size=(64, 48), pad=100)
        await device.binary(picture)
        await device.sync()
        assert (room.latest.jpeg, room.latest.live) == (picture, True)
        assert (source(room).width, source(room).height, source(room).codec) == (64, 48, "mjpeg")
        assert (media.hub.totals.frames, media.hub.totals.bytes) == (1, len(picture))


async def test_frame_when_exactly_as_large_as_allowed_then_it_passes() -> None:
    async with streaming(max_frame_bytes=5000) as (_, device, room):
        picture = jpeg(1).ljust(5000, b"\0")
        await device.binary(picture)
        await device.sync()
        assert room.latest.jpeg == picture


async def test_frame_when_one_byte_too_large_then_error_and_4413() -> None:
    async with streaming(max_frame_bytes=5000) as (media, device, room):
        await device.binary(jpeg(1).ljust(5001, b"\0"))
        assert await device.text() == {"type": "error", "code": "frame_too_large", "message": "max 5000 bytes"}
        assert await device.closed() == (4413, "frame too large")
        assert media.hub.totals.dropped == {"too_large": 1}
        assert room.latest.jpeg == b""
        assert media.events[-1].reason == "frame_too_large"  # type: ignore[union-attr]


async def test_frame_when_the_good_one_comes_with_one_too_large_then_it_is_shown_and_the_rest_is_not() -> None:
    async with streaming(max_frame_bytes=5000) as (media, device, room):
        before = room.latest.seq
        await device.binary(jpeg(1), jpeg(2).ljust(5001, b"\0"), jpeg(3))
        assert (await device.text())["code"] == "frame_too_large"
        assert (await device.closed())[0] == 4413
        assert room.latest.seq == before + 1
        assert media.hub.totals.frames == 1


async def test_frames_when_five_in_a_row_are_no_jpeg_then_error_and_1003() -> None:
    async with streaming() as (media, device, _room):
        await device.binary(BAD, b"", b"\xff\xd8\xff", b"\xd8\xff\0\0")
        await device.sync()
        await device.binary(BAD)
        assert await device.text() == {"type": "error", "code": "invalid_frames", "message": "not JPEG data"}
        assert await device.closed() == (1003, "unsupported data")
        assert media.hub.totals.dropped == {"not_jpeg": 5}


async def test_frames_when_a_good_one_comes_between_then_four_and_four_are_forgiven() -> None:
    async with streaming() as (_, device, room):
        for _ in range(3):
            await device.binary(BAD, BAD, BAD, BAD, jpeg(1))
        await device.sync()
        assert source(room).dropped["not_jpeg"] == 12


async def test_frames_when_forty_come_at_once_then_fifteen_are_accepted(jump_clock: trio.testing.MockClock) -> None:
    async with streaming() as (media, device, room):
        await device.binary(*(jpeg(n) for n in range(40)))
        await device.sync()
        assert source(room).frames == 15
        assert source(room).dropped["fps"] == 25
        assert media.hub.totals.dropped["fps"] == 25
        assert room.latest.jpeg == jpeg(14)


async def test_frames_when_several_wait_then_the_newest_is_shown_and_the_others_are_counted() -> None:
    async with streaming() as (media, device, room):
        before = room.latest.seq
        await device.binary(jpeg(1), jpeg(2), jpeg(3))
        await device.sync()
        shown = room.latest.seq - before
        assert room.latest.jpeg == jpeg(3)
        assert source(room).frames == 3
        assert source(room).dropped.get("superseded", 0) == 3 - shown
        assert media.hub.totals.dropped.get("superseded", 0) == 3 - shown
        assert media.hub.totals.frames == 3


async def test_rate_when_time_passes_then_the_bucket_fills_again(jump_clock: trio.testing.MockClock) -> None:
    async with serve_media(Authority(CameraLimits(max_fps=4))) as media, camera(media) as device:
        room = media.hub.get(room_key())
        assert room is not None
        await device.binary(*[jpeg()] * 6)
        await device.sync()
        assert source(room).frames == 4
        await trio.sleep(0.5)
        await device.binary(*[jpeg()] * 6)
        await device.sync()
        assert source(room).frames == 6


async def test_frame_when_fragmented_with_a_ping_between_then_it_is_one_picture() -> None:
    async with streaming() as (_, device, room):
        picture = jpeg(8, pad=3000)
        await device.send(frame(BINARY, picture[:1], fin=False), frame(CONT, b"", fin=False))
        await device.sync()
        await device.send(frame(CONT, picture[1:2000], fin=False))
        await device.sync()
        assert room.latest.jpeg == b""
        await device.send(frame(CONT, picture[2000:]))
        await device.sync()
        assert room.latest.jpeg == picture


async def test_frame_when_just_under_8_mib_and_allowed_then_it_passes_and_above_it_is_1009() -> None:
    most = 8 * 1024 * 1024
    async with streaming(max_frame_bytes=most) as (_, device, room):
        picture = jpeg(1).ljust(most, b"\0")
        await device.binary(picture)
        await device.sync()
        assert room.latest.jpeg == picture
        await device.send(frame(BINARY, picture + b"\0")[:200_000])
        code, _ = await device.closed()
        assert code == 1009


async def test_frame_when_fragments_add_up_to_more_than_8_mib_then_1009() -> None:
    async with streaming() as (_, device, _room):
        async with trio.open_nursery() as nursery:

            async def flood() -> None:
                try:
                    await device.send(frame(BINARY, jpeg(), fin=False))
                    for _ in range(10):
                        await device.send(frame(CONT, b"\0" * 1024 * 1024, fin=False))
                except trio.BrokenResourceError:
                    pass

            nursery.start_soon(flood)
            found = await device.receive()
            assert found is not None
            assert (found[0], int.from_bytes(found[1][:2], "big")) == (CLOSE, 1009)
            nursery.cancel_scope.cancel()


async def test_frame_when_it_comes_in_many_segments_then_two_reads_are_enough_and_a_small_one_is_not_kept_waiting() -> (
    None
):
    async with streaming() as (_, device, room):
        picture, small = jpeg(1, pad=40_000), jpeg(2)
        reads, take = 0, CameraConnection._take

        def count(self: CameraConnection, data: bytes | memoryview) -> bool:
            nonlocal reads
            reads += 1
            return take(self, data)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(CameraConnection, "_take", count)
            message = frame(BINARY, picture)
            for at in range(0, len(message), 1400):
                await device.send(message[at : at + 1400])
                await trio.sleep(0.002)
            await device.sync()
        assert room.latest.jpeg == picture
        assert reads <= 5  # those of sync among them
        await device.binary(small)
        await device.sync()
        assert room.latest.jpeg == small
