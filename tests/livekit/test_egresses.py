"""LiveKit's egress calls: what they ask for; on a real livekit-server with Redis (no service), and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from livekit.protocol import egress as proto

from streamhub.errors import BadRequest, NotFound, Unavailable
from streamhub.livekit.egresses import Bucket, EgressApi, EgressOutput, EgressState, new_path
from streamhub.livekit.server import LiveKit
from streamhub.model.names import AppName, RoomKey, RoomName
from tests.support.redis import livekit_with_redis

KEY = RoomKey(AppName("live"), RoomName("live-a"))
PATH = new_path(KEY)
FOLDER = EgressOutput("/out/hls")


def listed(egress_id: str, output: EgressOutput, status: int, path: str = PATH) -> proto.EgressInfo:
    """As LiveKit's egress service reports one."""
    info = proto.EgressInfo(egress_id=egress_id, room_name=KEY.room, status=status, error="why")
    info.participant.room_name = KEY.room
    info.participant.segment_outputs.append(output.segments(path))
    return info


def test_segments_when_in_a_bucket_then_its_values_are_told_and_not_printed() -> None:
    bucket = Bucket("tv", "https://s3.example", "eu", "a-key", "a-secret-key")
    asked = EgressOutput("hls", bucket).segments(PATH)
    assert asked.live_playlist_name == f"hls/{PATH}/index.m3u8"
    assert (asked.s3.bucket, asked.s3.endpoint, asked.s3.region) == ("tv", "https://s3.example", "eu")
    assert (asked.s3.access_key, asked.s3.secret, asked.s3.force_path_style) == ("a-key", "a-secret-key", True)
    assert "a-secret-key" not in repr(bucket)
    assert FOLDER.segments(PATH).WhichOneof("output") is None
    assert EgressOutput("", Bucket("tv")).segments(PATH).filename_prefix == f"{PATH}/s"


@pytest.mark.parametrize(
    "name",
    [
        f"/out/hls/{PATH}/all.m3u8",
        f"/out/{PATH}/index.m3u8",
        "/out/hls/live/live-b/index.m3u8",
        "",
        "/recordings/x.m3u8",
    ],
)
def test_path_of_when_others_made_it_then_none(name: str) -> None:
    assert FOLDER.path_of(name, KEY.room) is None
    assert FOLDER.path_of(f"/out/hls/{PATH}/index.m3u8", "live-other") is None


async def test_calls_when_there_is_redis_and_no_service(tmp_path: Path) -> None:
    """Reports are put where livekit-server keeps them; it reads them and tells us."""
    async with livekit_with_redis(tmp_path) as outside:
        api = EgressApi(outside.server().client, FOLDER)
        assert await api.active() == []
        for call in (api.start(KEY, PATH, "ann"), api.start(KEY, PATH, None), api.get("EG_none")):
            with pytest.raises(NotFound):  # the room does not exist
                await call
        stranger = listed("EG_stranger", EgressOutput("/recordings"), proto.EGRESS_ACTIVE)
        for info in (
            listed("EG_1", FOLDER, proto.EGRESS_ACTIVE),
            listed("EG_2", FOLDER, proto.EGRESS_FAILED),
            stranger,
        ):
            await outside.redis.command("HSET", "egress", info.egress_id, info.SerializeToString())
        (one,) = await api.active()
        assert (one.id, one.app, one.room, one.path, one.state) == ("EG_1", KEY.app, KEY.room, PATH, EgressState.ACTIVE)
        failed = await api.get("EG_2")
        assert (failed.state, failed.error) == (EgressState.FAILED, "why")
        with pytest.raises(BadRequest, match="cannot be stopped"):
            await api.stop("EG_2")


async def test_calls_when_livekit_has_no_redis_then_the_hint_names_it(livekit_server: LiveKit) -> None:
    api = EgressApi(livekit_server.client, FOLDER)
    for call in (api.active(), api.get("EG_1")):
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.code == "egress_not_connected"
        assert "Redis" in caught.value.hint
