"""LiveKit's ingress calls on a real livekit-server with a real Redis, and without one. No ingress service runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from livekit.protocol import ingress as proto

from streamhub.errors import BadRequest, NotFound, Unavailable
from streamhub.livekit.ingresses import IngressApi, IngressWish
from streamhub.livekit.server import LiveKit
from streamhub.model.ingress import IngressState, InputType
from tests.support.redis import RTMP_BASE, WHIP_BASE, Outside, livekit_with_redis

STATES = {
    proto.IngressState.ENDPOINT_BUFFERING: IngressState.BUFFERING,
    proto.IngressState.ENDPOINT_PUBLISHING: IngressState.PUBLISHING,
    proto.IngressState.ENDPOINT_ERROR: IngressState.ERROR,
    proto.IngressState.ENDPOINT_COMPLETE: IngressState.COMPLETE,
}
AT = datetime(2026, 11, 23, 12, 0, 0, 500_000, tzinfo=UTC)


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Outside]:
    async with livekit_with_redis(tmp_path) as running:
        yield running


def wish(kind: InputType = InputType.RTMP, **more: object) -> IngressWish:
    return IngressWish(input_type=kind, name="live-a", room="live-a", identity="obs", **more)  # type: ignore[arg-type]


async def test_ingresses_when_made_then_listed_changed_and_deleted(outside: Outside) -> None:
    api = IngressApi(outside.server().client)
    rtmp, whip = await api.create(wish()), await api.create(wish(InputType.WHIP, enabled=False))
    assert (rtmp.url, rtmp.transcoded, rtmp.enabled, rtmp.reusable) == (RTMP_BASE, True, True, True)
    assert (whip.url, whip.transcoded, whip.enabled, whip.reusable) == (WHIP_BASE, False, False, True)
    assert (rtmp.room, rtmp.identity, rtmp.state, rtmp.started_at) == ("live-a", "obs", IngressState.INACTIVE, None)
    assert len({rtmp.stream_key, whip.stream_key, ""}) == 3
    assert {i.id: i for i in await api.list()} == {rtmp.id: rtmp, whip.id: whip}
    moved = await api.update(rtmp.id, room="live-b", enabled=False)
    assert (moved.room, moved.enabled, moved.stream_key) == ("live-b", False, rtmp.stream_key)
    assert await api.get(rtmp.id) == moved
    await api.delete(rtmp.id)
    assert [i.id for i in await api.list()] == [whip.id]
    for call in (api.get(rtmp.id), api.delete(rtmp.id), api.update(rtmp.id, room="live-a", enabled=True)):
        with pytest.raises(NotFound, match="ingress"):
            await call


async def test_state_when_the_ingress_service_reports_it_then_ours(outside: Outside) -> None:
    """The report is put where livekit-server keeps it; livekit-server reads it and tells us."""
    api = IngressApi(outside.server().client)
    made = await api.create(wish())
    for status, state in STATES.items():
        reported = proto.IngressState(
            status=status,
            error="no such stream",
            started_at=int(AT.timestamp() * 1e9),
            video=proto.InputVideoState(width=1280, height=720, average_bitrate=2_000_000),
            audio=proto.InputAudioState(average_bitrate=128_000),
        )
        await outside.redis.set_state(made.id, reported)
        found = await api.get(made.id)
        assert (found.state, found.error, found.started_at) == (state, "no such stream", AT)
        assert (found.bitrate, found.width, found.height) == (2_128_000, 1280, 720)


async def test_create_when_livekit_cannot_then_why(outside: Outside) -> None:
    api = IngressApi(outside.server().client)
    with pytest.raises(BadRequest, match="does not take this: invalid"):
        await api.create(wish(transcoding=False))
    with pytest.raises(BadRequest, match="scheme rtsp"):
        await api.create(wish(InputType.URL, url="rtsp://cam.example/1"))
    with pytest.raises(Unavailable) as caught:
        await api.create(wish(InputType.URL, url="http://cam.example/1.mp4"))
    assert caught.value.code == "ingress_no_worker"
    assert "cpu_cost" in caught.value.hint
    assert await api.list() == []


async def test_calls_when_livekit_has_no_redis_then_the_hint_names_it(livekit_server: LiveKit) -> None:
    api = IngressApi(livekit_server.client)
    for call in (api.create(wish()), api.list(), api.get("IN_1")):
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.code == "ingress_not_connected"
        assert "Redis" in caught.value.hint
