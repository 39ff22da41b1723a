"""Many devices at once, and devices that misbehave beside one that does not."""

from __future__ import annotations

import resource
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio

from streamhub.model.access import CameraLimits
from streamhub.rooms.room import Room
from tests.support.census import Census
from tests.support.device import BINARY, NONCE, Device, camera, close_frame, dial, frame, handshake, target, upgrade
from tests.support.media import Authority, Media, jpeg, room_key, serve_media
from tests.support.waiting import eventually

CROWD = 1000


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < 2 * CROWD + 200:
        pytest.skip("this machine allows too few open files for a crowd in one process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def nothing_left(media: Media, before: Census) -> None:
    """Returns once only what was there before is there; fails if that takes too long."""
    await eventually(lambda: not media.hub.statuses() and not media.front.connections)
    await eventually(lambda: Census() == before)


async def test_thousand_devices_when_they_come_at_once_then_all_publish_and_leave_nothing(
    many_descriptors: None,
) -> None:
    picture, published, all_in = jpeg(), [], trio.Event()

    async def come(media: Media, n: int, leave: bytes) -> None:
        async with dial(media) as device:
            await device.send(upgrade(target(f"cam{n}"), ["X-Forwarded-For: 203.0.113.7"]), frame(BINARY, picture))
            assert await device.head() == 101
            assert (await device.text())["room"] == f"live-cam{n}"
            await device.sync()
            published.append(n)
            if len(published) == CROWD:
                all_in.set()
            await all_in.wait()
            await device.send(leave)

    with trio.fail_after(120):
        # A machine with much else to do may need longer than the usual 30 s of patience.
        async with serve_media(Authority(CameraLimits(idle_timeout_s=300))) as media:
            before = Census()
            async with trio.open_nursery() as nursery:
                for n in range(CROWD):
                    # A half of them says goodbye, the others vanish.
                    nursery.start_soon(come, media, n, close_frame(1000) if n % 2 else b"")
                await all_in.wait()
                assert len(media.hub.live_key_ids()) == CROWD
                assert media.hub.totals.frames == CROWD
            assert media.results == ["accepted"] * CROWD
            await nothing_left(media, before)


async def test_thousand_bad_keys_when_they_come_at_once_then_the_good_stream_and_a_new_one_comes_in(
    many_descriptors: None,
) -> None:
    words: list[str] = []

    async def come(media: Media, n: int) -> None:
        async with handshake(media, key=f"wsk_bad{n}") as device:
            words.append((await device.refused())[1])

    with trio.fail_after(120):
        async with serve_media() as media, camera(media, "good") as good:
            before = Census()
            async with trio.open_nursery() as nursery:
                for n in range(CROWD):
                    nursery.start_soon(come, media, n)
                await eventually(lambda: "rate_limited" in words)
                for n in range(20):
                    async with camera(media, f"new{n}"):
                        await good.binary(jpeg(n))
                        await good.sync()
            assert sorted(set(words)) == ["invalid_key", "rate_limited"]
            assert (words.count("invalid_key"), len(words)) == (60, CROWD)
            await good.sync()
            await eventually(lambda: media.hub.live_key_ids() == {"wsi_wsk_good_1"} and media.front.connections == 1)
            await eventually(lambda: Census() == before)


async def sends_nine_mib(media: Media) -> None:
    async with camera(media, "bad") as device:
        async with trio.open_nursery() as nursery:

            async def flood() -> None:
                try:
                    await device.send(frame(BINARY, jpeg().ljust(9 * 1024 * 1024, b"\0")))
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass

            nursery.start_soon(flood)
            assert (await device.closed())[0] == 1009
            nursery.cancel_scope.cancel()


async def sends_five_that_are_none(media: Media) -> None:
    async with camera(media, "bad") as device:
        await device.binary(*[b"GIF89a"] * 5)
        assert (await device.text())["code"] == "invalid_frames"
        assert (await device.closed())[0] == 1003


async def sends_half_a_frame_and_stays(media: Media) -> None:
    async with camera(media, "bad") as device:
        await device.send(frame(BINARY, jpeg(pad=50_000))[:25_000])
        with trio.move_on_after(0.3):
            await device.receive()


async def sends_half_a_frame_and_goes(media: Media) -> None:
    async with camera(media, "bad") as device:
        await device.send(frame(BINARY, jpeg(pad=50_000))[:25_000])


async def upgrades_with_trailing_bytes(media: Media) -> None:
    head = (
        f"GET /nowhere HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {NONCE}"
    )
    async with dial(media) as device:
        await device.send(head.encode() + b"\r\nSec-WebSocket-Version: 13\r\n\r\n" + b"\x82\xfe trailing" * 100)
        assert await device.head() == 404


async def upgrades_and_says_nothing_sensible(media: Media) -> None:
    async with dial(media) as device:
        await device.send(upgrade(target("bad")), b"garbage that is no frame" * 50)
        assert await device.head() == 101
        assert (await device.text())["type"] == "ready"
        assert (await device.closed())[0] == 1002


async def never_reads_and_sends_pings(media: Media) -> None:
    async with camera(media, "bad") as device:
        with trio.move_on_after(0.5):
            while True:
                await device.send(frame(9, b"x" * 125) * 200)


async def sends_tiny_fragments(media: Media) -> None:
    async with camera(media, "bad") as device:
        await device.send(frame(BINARY, b"\xff", fin=False))
        for _ in range(200):
            await device.send(frame(0, b"", fin=False) * 200)
            await device.sync()
        await device.cut()


async def floods_with_empty_frames(media: Media) -> None:
    async with camera(media, "bad") as device:
        async with trio.open_nursery() as nursery:

            async def flood() -> None:
                try:
                    while True:
                        await device.send(frame(10) * 10_000)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass

            nursery.start_soon(flood)
            assert await device.closed() == (1008, "too many frames")
            nursery.cancel_scope.cancel()


async def comes_and_goes(media: Media) -> None:
    for _ in range(25):
        async with dial(media) as device:
            await device.send(upgrade(target("bad")))
            await device.cut()


DISTURBERS: list[Callable[[Media], Awaitable[None]]] = [
    sends_nine_mib,
    sends_five_that_are_none,
    sends_half_a_frame_and_stays,
    sends_half_a_frame_and_goes,
    upgrades_with_trailing_bytes,
    upgrades_and_says_nothing_sensible,
    never_reads_and_sends_pings,
    sends_tiny_fragments,
    floods_with_empty_frames,
    comes_and_goes,
]


async def stream_beside(device: Device, room: Room, over: trio.Event) -> int:
    """Stream, and see every picture arrive, until ``over``; how many did."""
    count = 0
    while not over.is_set():
        count += 1
        picture = jpeg(count)
        await device.binary(picture)
        await device.sync()
        assert room.latest.jpeg == picture
        with trio.move_on_after(1 / 14):
            await over.wait()
    return count


@pytest.mark.parametrize("disturb", DISTURBERS)
async def test_camera_when_another_misbehaves_then_every_picture_arrives_and_nothing_is_left(
    disturb: Callable[[Media], Awaitable[None]],
) -> None:
    with trio.fail_after(30):
        async with serve_media() as media, camera(media, "good") as good:
            before, over = Census(), trio.Event()
            room = media.hub.get(room_key("good"))
            assert room is not None
            async with trio.open_nursery() as nursery:

                async def act() -> None:
                    await disturb(media)
                    over.set()

                nursery.start_soon(act)
                count = await stream_beside(good, room, over)
            source = room.status().source
            assert source is not None
            assert (source.frames, source.dropped) == (count, {})
            await eventually(lambda: media.front.connections == 1 and len(media.hub.statuses()) == 1)
            await eventually(lambda: Census() == before)
