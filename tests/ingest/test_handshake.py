"""Contract §1 and §2: who is let in, in which order it is checked, and what each is told."""

from __future__ import annotations

import attrs
import pytest
import trio

from streamhub.errors import StoreError
from streamhub.model.access import CameraGrant, CameraHello, CameraLimits, Refusal
from tests.support.device import camera, dial, handshake, target, upgrade
from tests.support.media import Authority, jpeg, room_key, serve_media


async def test_camera_when_all_is_right_then_ready_names_its_place_and_limits() -> None:
    limits = CameraLimits(max_fps=7, max_frame_bytes=40960, idle_timeout_s=45.0)
    with trio.fail_after(10):
        async with serve_media(Authority(limits)) as media, handshake(media, identity="door") as device:
            assert await device.text() == {
                "type": "ready",
                "room": "live-cam1",
                "streamId": "live-cam1/door",
                "maxFps": 7,
                "maxFrameBytes": 40960,
                "idleTimeoutSec": 45,
            }
            assert media.results == ["accepted"]
            hello = media.authority.asked[0]
            assert (hello.app, hello.room, hello.key, hello.identity) == ("live", "cam1", "wsk_cam1_1", "door")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"app": "", "room": "", "key": ""}, "invalid_app"),
        ({"app": "a/b", "room": "!", "key": "x"}, "invalid_app"),
        ({"room": "", "key": ""}, "invalid_room"),
        ({"room": "ca.m", "key": "x"}, "invalid_room"),
        ({"key": ""}, "invalid_key"),
        ({"app": "nowhere", "key": "x"}, "invalid_key"),  # the key's form is looked at before the app is looked up
        ({"app": "nowhere"}, "unknown_app"),
        ({"key": "wsk_unknown"}, "invalid_key"),
        ({"room": "cam2", "key": "wsk_cam1_1"}, "room_mismatch"),
    ],
)
async def test_camera_when_a_check_fails_then_101_message_and_4401(query: dict[str, str], word: str) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, handshake(media, **query) as device:
            assert await device.refused() == ("4401", word, 4401, word)
            assert media.results == [word]
            assert media.hub.statuses() == []
            assert media.events == []


async def test_camera_when_its_app_has_cameras_switched_off_then_4403() -> None:
    class Off(Authority):
        async def authorise_camera(self, hello: CameraHello) -> CameraGrant | Refusal:
            await trio.lowlevel.checkpoint()
            return Refusal(4403, "ws_ingest_disabled")

    with trio.fail_after(10):
        async with serve_media(Off()) as media, handshake(media) as device:
            assert await device.refused() == ("4403", "ws_ingest_disabled", 4403, "ws_ingest_disabled")


async def test_camera_when_the_header_has_the_key_then_it_wins_over_the_query() -> None:
    with trio.fail_after(10):
        async with serve_media() as media:
            async with camera(media, key="wsk_bad", headers=["Authorization: Bearer wsk_cam1_1"]):
                pass
            async with handshake(media, headers=["Authorization: Bearer wsk_bad"]) as device:
                assert (await device.refused())[1] == "invalid_key"


async def test_camera_when_its_room_is_spelt_in_full_then_it_is_the_same_room() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media, room="live-cam1", key="wsk_cam1_1"):
            assert [s.key for s in media.hub.statuses()] == [room_key("cam1")]


@pytest.mark.parametrize("identity", ["", "-x", "a b", "x" * 65, "../x"])
async def test_camera_when_its_identity_is_odd_then_it_gets_one_from_its_key(identity: str) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, handshake(media, identity=identity) as device:
            assert (await device.text())["streamId"] == "live-cam1/wscam-cam1_1"


@pytest.mark.parametrize("error", [StoreError("disk full"), RuntimeError("a bug"), trio.TooSlowError()])
async def test_camera_when_its_key_cannot_be_looked_up_then_handshake_error(error: Exception) -> None:
    class Broken(Authority):
        async def authorise_camera(self, hello: CameraHello) -> CameraGrant | Refusal:
            await trio.lowlevel.checkpoint()
            raise error

    with trio.fail_after(10):
        async with serve_media(Broken()) as media, handshake(media) as device:
            assert await device.refused() == ("4401", "handshake_error", 4401, "handshake_error")


async def test_camera_when_looking_up_its_key_takes_too_long_then_handshake_error(
    jump_clock: trio.testing.MockClock,
) -> None:
    class Stuck(Authority):
        async def authorise_camera(self, hello: CameraHello) -> CameraGrant | Refusal:
            await trio.sleep_forever()
            raise AssertionError

    async with serve_media(Stuck()) as media, handshake(media) as device:
        assert (await device.refused())[1] == "handshake_error"
        assert trio.current_time() == pytest.approx(10, abs=0.5)


async def test_camera_when_it_comes_then_nobody_asks_for_its_room_s_past() -> None:
    asked: list[object] = []

    async def note(key: object) -> None:
        asked.append(key)
        await trio.sleep_forever()

    with trio.fail_after(10):
        async with serve_media() as media:
            media.hub.last_seen = note
            async with camera(media):
                assert asked == []


async def test_camera_when_the_server_is_stopping_then_1012() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media, "cam1") as living:
            await media.hub.shutdown(1)
            assert await living.closed() == (1012, "server restart")
            async with handshake(media, "cam2") as late:
                assert await late.closed() == (1012, "server restart")
            assert media.events[-1].reason == "server_stopping"  # type: ignore[union-attr]


async def test_frames_when_sent_before_ready_then_they_count() -> None:
    with trio.fail_after(10):
        async with serve_media() as media:
            hold, asked = trio.Event(), trio.Event()
            emit = media.door.emit

            async def slow(event: object) -> None:
                asked.set()
                await hold.wait()
                await emit(event)  # type: ignore[arg-type]

            media.door.emit = slow
            async with dial(media) as device:
                await device.send(upgrade(target()))
                await asked.wait()
                await device.binary(jpeg(1))
                hold.set()
                assert await device.head() == 101
                assert (await device.text())["type"] == "ready"
                await device.sync()
                room = media.hub.get(room_key())
                assert room is not None
                assert room.latest.jpeg == jpeg(1)


async def test_camera_when_the_row_cannot_be_written_then_the_picture_comes_all_the_same() -> None:
    with trio.fail_after(10):
        async with serve_media() as media:

            async def broken(_event: object) -> None:
                await trio.lowlevel.checkpoint()
                raise StoreError("disk full")

            media.door.emit = broken
            async with camera(media) as device:
                await device.binary(jpeg(3))
                await device.sync()
                room = media.hub.get(room_key())
                assert room is not None
                assert room.latest.jpeg == jpeg(3)


async def test_max_cameras_when_reached_then_others_are_refused_and_a_reconnect_is_not() -> None:
    with trio.fail_after(10):
        async with serve_media(Authority(CameraLimits(max_cameras=2))) as media:
            async with camera(media, "cam1") as first, camera(media, "cam2"):
                async with handshake(media, "cam3") as third:
                    assert await third.refused() == ("4403", "max_cameras", 4403, "max_cameras")
                async with camera(media, "cam1"):
                    assert await first.closed() == (4409, "replaced by new connection")
            async with camera(media, "cam3"):
                pass


@attrs.define
class _Once:
    """Lets two tasks go on only when both have arrived."""

    arrived: int = 0
    both: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self) -> None:
        self.arrived += 1
        if self.arrived == 2:
            self.both.set()
        await self.both.wait()


async def test_max_cameras_when_two_arrive_at_once_for_one_place_then_one_gets_it() -> None:
    meet = _Once()

    class Together(Authority):
        async def authorise_camera(self, hello: CameraHello) -> CameraGrant | Refusal:
            await meet.wait()
            return await Authority.authorise_camera(self, hello)

    with trio.fail_after(10):
        async with serve_media(Together(CameraLimits(max_cameras=1))) as media:
            words: list[str] = []

            async def come(room: str) -> None:
                async with handshake(media, room) as device:
                    message = await device.text()
                    words.append(message["type"])

            async with trio.open_nursery() as nursery:
                nursery.start_soon(come, "cam1")
                nursery.start_soon(come, "cam2")
            assert sorted(words) == ["error", "ready"]
