"""Contract §5: pings, dead peers, silent cameras. Time is simulated."""

from __future__ import annotations

import pytest
import trio

from streamhub.model.access import CameraLimits
from streamhub.model.streams import StreamEnded
from tests.support.device import PING, PONG, TEXT, Device, camera, close_frame, frame
from tests.support.media import Authority, Media, jpeg, serve_media


async def stream_on(device: Device, every_s: float) -> None:
    try:
        while True:
            await device.binary(jpeg())
            await trio.sleep(every_s)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


def end_of(media: Media) -> StreamEnded:
    (event,) = [e for e in media.events if isinstance(e, StreamEnded)]
    return event


async def test_idle_when_no_frame_ever_comes_then_4408_between_30_and_35_seconds(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media, camera(media) as device:
        began = trio.current_time()
        for _ in range(2):
            assert await device.receive() == (PING, b"")
            await device.send(frame(PONG))
        assert await device.text() == {"type": "error", "code": "idle_timeout", "message": "no frames received"}
        assert 30 <= trio.current_time() - began <= 35.5
        assert await device.closed() == (4408, "idle timeout")
        assert end_of(media).reason == "idle_timeout"


@pytest.mark.parametrize(("idle_s", "least", "most"), [(5.0, 5.0, 10.5), (7.0, 7.0, 12.5), (60.0, 60.0, 65.5)])
async def test_idle_when_the_key_has_its_own_time_out_then_it_counts(
    jump_clock: trio.testing.MockClock, idle_s: float, least: float, most: float
) -> None:
    async with serve_media(Authority(CameraLimits(idle_timeout_s=idle_s))) as media, camera(media) as device:
        began = trio.current_time()
        while (found := await device.receive()) == (PING, b""):
            await device.send(frame(PONG))
        assert found is not None
        assert found[0] == TEXT
        assert least <= trio.current_time() - began <= most


async def test_idle_when_it_is_found_at_the_very_tick_of_a_ping_then_that_ping_goes_out_first(
    jump_clock: trio.testing.MockClock,
) -> None:
    """Contract §9: ready, ping 15 s, ping 30 s, text idle_timeout, close 4408."""
    async with serve_media(Authority(CameraLimits(idle_timeout_s=29.9))) as media, camera(media) as device:
        for _ in range(2):
            assert await device.receive() == (PING, b"")
        assert (await device.text())["code"] == "idle_timeout"
        assert await device.closed() == (4408, "idle timeout")


async def test_idle_when_the_device_answers_no_ping_either_then_it_is_dead_and_told_nothing(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media(Authority(CameraLimits(idle_timeout_s=44.9))) as media, camera(media) as device:
        for _ in range(2):
            assert await device.receive() == (PING, b"")
        assert await device.receive() is None
        assert end_of(media).reason == "connection_lost"


@pytest.mark.parametrize("waste", [b"GIF89a", None])
async def test_idle_when_only_dropped_frames_or_stats_come_then_the_clock_is_not_reset(
    jump_clock: trio.testing.MockClock, waste: bytes | None
) -> None:
    limits = CameraLimits(max_fps=1, idle_timeout_s=10.0)
    async with serve_media(Authority(limits)) as media, camera(media) as device:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def chatter() -> None:
                while True:
                    await trio.sleep(4)
                    await device.stats(n=1)
                    if waste is not None:
                        await device.binary(waste)

            nursery.start_soon(chatter)
            assert await device.receive() == (PING, b"")
            assert (await device.text())["code"] == "idle_timeout"
            assert trio.current_time() - began <= 15.5
            nursery.cancel_scope.cancel()


async def test_idle_when_a_frame_is_dropped_for_its_rate_then_the_clock_is_not_reset(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media(Authority(CameraLimits(max_fps=1, idle_timeout_s=5.0))) as media, camera(media) as device:
        await device.binary(jpeg())
        await device.sync()
        accepted_at = trio.current_time()
        await trio.sleep(0.5)
        await device.binary(jpeg())
        await device.sync()
        assert media.hub.totals.dropped == {"fps": 1}
        assert (await device.text())["code"] == "idle_timeout"
        assert trio.current_time() - accepted_at <= 10.5


async def test_idle_when_frames_come_every_29_seconds_then_the_camera_stays(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media, camera(media) as device:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream_on, device, 29)
            for _ in range(10):
                assert await device.receive() == (PING, b"")
                await device.send(frame(PONG))
            nursery.cancel_scope.cancel()
        assert len(media.hub.statuses()) == 1


async def test_ping_when_a_device_never_answers_then_it_is_cut_at_the_third_tick_without_a_close(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media, camera(media) as device:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream_on, device, 1.0)
            ticks = []
            try:
                while await device.receive() == (PING, b""):
                    ticks.append(trio.current_time() - began)
            except trio.BrokenResourceError:
                pass  # killed while the device was sending: a reset
            gone = trio.current_time() - began
            nursery.cancel_scope.cancel()
        assert ticks == pytest.approx([15, 30], abs=0.5)
        assert gone == pytest.approx(45, abs=1.5)
        assert end_of(media).reason == "connection_lost"


@pytest.mark.parametrize("pong", [frame(PONG), frame(PONG, b"unasked")], ids=["asked", "unasked"])
async def test_ping_when_a_device_answers_every_second_one_then_it_stays(
    jump_clock: trio.testing.MockClock, pong: bytes
) -> None:
    async with serve_media() as media, camera(media) as device:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream_on, device, 1.0)
            for n in range(12):
                assert await device.receive() == (PING, b"")
                if n % 2:
                    await device.send(pong)
            nursery.cancel_scope.cancel()
        assert media.hub.statuses()[0].source is not None


async def test_frame_when_half_of_it_comes_and_then_silence_then_the_idle_clock_ends_it(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media, camera(media) as device:
        await device.send(frame(2, jpeg(pad=5000))[:2000])
        for _ in range(2):
            assert await device.receive() == (PING, b"")
        assert (await device.text())["code"] == "idle_timeout"
        assert await device.closed() == (4408, "idle timeout")
        assert media.hub.statuses() == []


async def test_connection_when_a_refused_device_never_leaves_then_the_server_does(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media, camera(media) as device:
        began = trio.current_time()
        await device.send(close_frame(1000))
        await trio.sleep(3)  # it does not read, and does not close
        assert media.front.connections == 0
        assert trio.current_time() - began < 3.5
