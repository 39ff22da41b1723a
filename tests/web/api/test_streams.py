from __future__ import annotations

import pytest

from streamhub.model.streams import STREAM_DELETED
from streamhub.services.bundle import Services
from tests.conftest import Clock
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub
from tests.web.world import World


@pytest.fixture
def world(services: Services, fake_hub: FakeHub) -> World:
    return World(services, fake_hub)


async def test_list_then_rows_merged_with_their_rooms(api: Api, world: World) -> None:
    await world.stream_id()
    assert (await api("GET", "/apps/live/streams")).data == [
        {
            "id": 1,
            "appId": 1,
            "streamId": "live-cam1/cam",
            "type": "ws-mjpeg",
            "room": "live-cam1",
            "participant": "cam",
            "status": "active",
            "state": "live",
            "stateSince": "2026-11-23T12:00:00.123Z",
            "startedAt": "2026-11-23 12:00:00",
            "endedAt": None,
            "endReason": None,
            "lastStatsJson": '{"rssi":-60}',
            "lastFrameAt": "2026-11-23T12:00:00.123Z",
            "fps": 9.88,
            "bitrate": 1_500_000,
            "width": 640,
            "height": 480,
            "codec": "mjpeg",
            "viewers": {"mjpeg": 1, "ws": 0},
        }
    ]


@pytest.mark.parametrize("spelled", ["live-cam1%2Fcam", "live-cam1/cam", "cam1%2fcam", "cam1/cam"])
async def test_get_then_found_by_every_spelling(api: Api, world: World, spelled: str) -> None:
    await world.stream_id()
    reply = await api("GET", f"/apps/live/streams/{spelled}")
    assert (reply.status, reply.data["streamId"]) == (200, "live-cam1/cam")
    assert (await api("GET", f"/apps/other/streams/{spelled}")).status == 404


async def test_delete_then_disconnected_and_still_to_be_read(
    api: Api, world: World, fake_hub: FakeHub, wall: Clock
) -> None:
    await world.stream_id()
    wall.advance(seconds=7)
    reply = await api("DELETE", "/apps/live/streams/live-cam1%2Fcam")
    assert (reply.status, reply.body) == (204, b"")
    assert fake_hub.orders == [("live/live-cam1", STREAM_DELETED)]
    assert (await api("GET", "/apps/live/streams")).data == []
    ended = (await api("GET", "/apps/live/streams/live-cam1%2Fcam")).data
    assert (ended["status"], ended["state"], ended["endReason"]) == ("ended", "ended", "deleted")
    assert ended["endedAt"] == "2026-11-23 12:00:07"
    # What only a live source has is null, not zero.
    assert {ended[k] for k in ("lastFrameAt", "fps", "bitrate", "width", "height", "codec", "viewers")} == {None}


async def test_get_when_unknown_then_404(api: Api) -> None:
    reply = await api("GET", "/apps/live/streams/live-cam1%2Fcam")
    assert (reply.status, reply.code) == (404, "stream_not_found")
