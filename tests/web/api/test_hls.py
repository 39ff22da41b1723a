from __future__ import annotations

import pytest

from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.services.bundle import Services
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub
from tests.web.world import World

KEY = RoomKey(AppName("live"), RoomName("live-cam1"))


@pytest.fixture
def world(services: Services, fake_hub: FakeHub) -> World:
    return World(services, fake_hub)


@pytest.mark.parametrize("spelled", ["live-cam1%2Fcam", "live-cam1/cam", "cam1%2fcam", "1"])
async def test_start_and_stop_then_the_contracts_words_come_back(api: Api, world: World, spelled: str) -> None:
    await world.stream_id()
    path = f"/apps/live/streams/{spelled}/hls"
    first = await api("POST", f"{path}/start")
    assert (first.status, first.data["status"]) == (201, "EGRESS_STARTING")
    assert first.data["playlistUrl"].endswith("/hls/live/live-cam1/index.m3u8")
    assert (await api("GET", path)).data == {"active": False, "playlistUrl": first.data["playlistUrl"]}
    world.hub.playlists.add(KEY)
    again = await api("POST", f"{path}/start")
    assert again.data == {**first.data, "status": "EGRESS_ACTIVE"}
    assert (await api("GET", path)).data["active"] is True
    stopped = await api("POST", f"{path}/stop")
    assert (stopped.status, stopped.data) == (200, {"egressId": first.data["egressId"], "status": "EGRESS_ENDING"})
    assert (await api("POST", f"{path}/stop")).data == {"egressId": None, "status": "inactive"}


async def test_start_when_the_stream_is_unknown_or_nobody_is_live_then_it_says_so(api: Api, world: World) -> None:
    for method, tail in (("POST", "/hls/start"), ("POST", "/hls/stop"), ("GET", "/hls")):
        reply = await api(method, f"/apps/live/streams/live-cam9%2Fcam{tail}")
        assert (reply.status, reply.json["code"]) == (404, "stream_not_found")
    await world.stream_id()
    world.hub.rooms.clear()
    reply = await api("POST", "/apps/live/streams/live-cam1%2Fcam/hls/start")
    assert (reply.status, reply.json["code"]) == (503, "room_offline")
