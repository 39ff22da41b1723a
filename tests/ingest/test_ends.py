"""Sources that are made to leave: keys revoked, streams and apps deleted, and a ledger that fails meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio

from streamhub.model.streams import (
    APP_DELETED,
    KEY_REVOKED,
    STREAM_DELETED,
    EndOrder,
    StreamEnded,
    StreamEvent,
    StreamStarted,
)
from tests.support.device import camera, dial, target, upgrade
from tests.support.media import APP, Media, jpeg, room_key, serve_media
from tests.support.waiting import eventually

KEY_ID = "wsi_wsk_cam1_1"
STREAM = "live-cam1/wscam-cam1_1"
End = Callable[[Media], Awaitable[object]]
ENDS: list[tuple[End, EndOrder]] = [
    (lambda media: media.hub.end_key(KEY_ID, KEY_REVOKED), KEY_REVOKED),
    (lambda media: media.hub.end_source(room_key(), STREAM, STREAM_DELETED), STREAM_DELETED),
    (lambda media: media.hub.end_source(room_key(), None, STREAM_DELETED), STREAM_DELETED),
    (lambda media: media.hub.end_app(APP, APP_DELETED), APP_DELETED),
]


@pytest.mark.parametrize(("end", "order"), ENDS)
async def test_source_when_ended_then_the_device_is_told_and_it_is_over_on_return(end: End, order: EndOrder) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            await device.binary(jpeg())
            await device.sync()
            assert await end(media) in (True, None)
            last = media.events[-1]
            assert isinstance(last, StreamEnded)
            assert (last.stream_id, last.reason) == (STREAM, order.reason)
            assert media.hub.live_key_ids() == set()
            assert await device.closed() == (order.close_code, order.text)


async def test_close_codes_when_sent_then_they_are_the_contract_s() -> None:
    assert (KEY_REVOKED.close_code, KEY_REVOKED.text) == (4401, "key revoked")


async def test_end_when_there_is_no_such_source_then_false() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            assert not await media.hub.end_key("wsi_other", KEY_REVOKED)
            assert not await media.hub.end_source(room_key("cam2"), None, STREAM_DELETED)
            assert not await media.hub.end_source(room_key(), "live-cam1/other", STREAM_DELETED)
            await device.sync()


async def test_key_when_revoked_during_the_handshake_then_the_camera_does_not_stay() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, trio.open_nursery() as nursery:
            starting, hold = trio.Event(), trio.Event()
            emit = media.door.emit

            async def slow(event: StreamEvent) -> None:
                if isinstance(event, StreamStarted):
                    starting.set()
                    await hold.wait()
                await emit(event)

            media.door.emit = slow
            async with dial(media) as device:
                await device.send(upgrade(target()))
                await starting.wait()
                revoked: list[bool] = []

                async def revoke() -> None:
                    revoked.append(await media.hub.end_key(KEY_ID, KEY_REVOKED))

                nursery.start_soon(revoke)
                await trio.testing.wait_all_tasks_blocked()
                hold.set()
                assert await device.head() == 101
                assert (await device.text())["type"] == "ready"
                assert await device.closed() == (4401, "key revoked")
                await eventually(lambda: revoked == [True])
                assert [type(e) for e in media.events] == [StreamStarted, StreamEnded]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), trio.BrokenResourceError()])
async def test_end_when_the_ledger_fails_unexpectedly_then_whoever_waits_is_not_left_waiting(error: Exception) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:

            async def broken(_event: StreamEvent) -> None:
                await trio.lowlevel.checkpoint()
                raise error

            media.door.emit = broken
            assert await media.hub.end_key(KEY_ID, KEY_REVOKED)
            assert await device.receive() in (None, (8, b"\x11\x31key revoked"))
            await eventually(lambda: not media.hub.statuses() and not media.front.connections)


async def test_end_when_the_ledger_hangs_then_it_is_over_after_the_row_s_deadline(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with serve_media() as media, camera(media) as device:
        handed_over: list[StreamEvent] = []

        async def hangs(event: StreamEvent) -> None:
            handed_over.append(event)
            await trio.sleep_forever()

        await device.stats(n=1)
        await device.sync()
        media.door.emit = hangs
        began = trio.current_time()
        assert await media.hub.end_key(KEY_ID, KEY_REVOKED)
        assert trio.current_time() - began <= 6
        assert isinstance(handed_over[-1], StreamEnded)
        assert await device.closed() == (4401, "key revoked")


async def test_error_in_the_session_when_unexpected_then_1011_and_the_room_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_text: bytes) -> None:
        raise RuntimeError("a bug")

    with trio.fail_after(10):
        async with serve_media() as media, camera(media) as device:
            with monkeypatch.context() as patch:
                patch.setattr("streamhub.ingest.camera_session.parse_stats", broken)
                await device.stats(n=1)
                assert await device.closed() == (1011, "internal error")
            assert media.hub.totals.room_errors == 1
            await eventually(lambda: not media.hub.statuses())
            async with camera(media) as again:
                await again.sync()
