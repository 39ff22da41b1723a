"""Design §7, camera refusals: failures are counted per address, admissions per key."""

from __future__ import annotations

import trio

from tests.support.device import camera, handshake
from tests.support.media import Media, serve_media


async def word_of(media: Media, room: str = "cam1", key: str | None = None, ip: str = "203.0.113.9") -> str:
    """``ready``, or the word of the refusal."""
    async with handshake(media, room, key, headers=[f"X-Forwarded-For: {ip}"]) as device:
        message = await device.text()
        if message["type"] == "ready":
            return "ready"
        assert message["code"] == str((await device.closed())[0])
        return str(message["message"])


async def test_failures_when_sixty_in_a_minute_then_the_next_are_rate_limited(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media:
        words = [await word_of(media, key="wsk_bad") for _ in range(62)]
        assert words == ["invalid_key"] * 60 + ["rate_limited"] * 2
        async with handshake(media, app="!", headers=["X-Forwarded-For: 203.0.113.9"]) as device:
            assert await device.refused() == ("4429", "rate_limited", 4429, "rate_limited")
        assert await word_of(media, key="wsk_bad", ip="203.0.113.10") == "invalid_key"
        await trio.sleep(60)
        assert await word_of(media, key="wsk_bad") == "invalid_key"


async def test_good_keys_when_their_address_is_over_the_limit_then_they_come_in_and_stay_in() -> None:
    with trio.fail_after(20):
        async with serve_media() as media, camera(media, "cam1", headers=["X-Forwarded-For: 203.0.113.9"]) as streaming:
            for _ in range(61):
                await word_of(media, key="wsk_bad")
            assert await word_of(media, "cam2") == "ready"
            await streaming.sync()


async def test_admissions_when_a_key_comes_thirty_one_times_in_a_minute_then_it_must_wait(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media:
        words = [await word_of(media, ip=f"203.0.113.{n}") for n in range(32)]
        assert words == ["ready"] * 30 + ["rate_limited"] * 2
        assert await word_of(media, "cam2") == "ready"
        await trio.sleep(60)
        assert await word_of(media) == "ready"


async def test_admissions_when_a_key_is_over_its_limit_then_its_living_connection_is_left_alone() -> None:
    with trio.fail_after(20):
        async with serve_media() as media:
            for _ in range(29):
                assert await word_of(media) == "ready"
            async with camera(media) as living:
                assert await word_of(media) == "rate_limited"
                await living.sync()
