from __future__ import annotations

import pytest

from streamhub.model.access import Right, Scope
from streamhub.services.bundle import Services
from streamhub.services.tokens import NewToken
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub


async def test_create_then_the_whole_app(api: Api) -> None:
    body = {"name": "garden", "displayName": "Garden", "features": {"publicPlayback": False, "wsIngest": {"maxFps": 5}}}
    reply = await api("POST", "/apps", json=body)
    assert reply.status == 201
    assert reply.data == {
        "id": 3,
        "name": "garden",
        "displayName": "Garden",
        "roomPrefix": "garden",
        "livekitRoomPrefix": "garden",
        "features": {
            "publicPlayback": False,
            "publicWall": False,
            "wsIngest": {"enabled": True, "maxCameras": 0, "maxFps": 5, "maxFrameKb": 256},
            "maxViewersPerRoom": 0,
            "maxViewers": 0,
        },
        "callbackUrl": None,
        "callbackSecret": None,
        "createdAt": "2026-11-23 12:00:00",
        "updatedAt": "2026-11-23 12:00:00",
    }
    assert (await api("GET", "/apps/garden")).data == reply.data


async def test_create_when_every_field_is_bad_then_all_are_named(api: Api) -> None:
    body = {
        "name": "No",
        "displayName": "",
        "roomPrefix": "-x",
        "features": {
            "publicPlayback": "yes",
            "wsIngest": {"maxFps": 0, "maxFrameKb": 9000, "fps": 1},
            "maxViewers": -1,
        },
        "recordingEnabled": True,
    }
    reply = await api("POST", "/apps", json=body)
    assert (reply.status, reply.code) == (400, "validation_failed")
    assert set(reply.fields) == {
        "name",
        "displayName",
        "roomPrefix",
        "features.publicPlayback",
        "features.wsIngest.maxFps",
        "features.wsIngest.maxFrameKb",
        "features.wsIngest.fps",
        "features.maxViewers",
        "recordingEnabled",
    }


@pytest.mark.parametrize("name", ["ab", "a" * 33, "-abc", "abc-", "Abc", "a.b", "a b", "äbc", ""])
async def test_create_when_the_name_is_impossible_then_400(api: Api, name: str) -> None:
    assert set((await api("POST", "/apps", json={"name": name})).fields) == {"name"}


async def test_create_when_name_or_prefix_are_in_the_way_then_409(api: Api) -> None:
    taken = await api("POST", "/apps", json={"name": "live"})
    assert (taken.status, taken.code) == (409, "app_name_taken")
    clash = await api("POST", "/apps", json={"name": "live-2"})
    assert (clash.status, clash.code) == (409, "room_prefix_clash")


async def test_patch_then_only_what_was_sent_changes_and_secrets_are_masked(api: Api) -> None:
    before = (await api("GET", "/apps/live")).data
    body = {
        "callbackUrl": "https://a.example/hook",
        "callbackSecret": "s3cret",
        "features": {"wsIngest": {"maxFps": 7}},
    }
    after = (await api("PATCH", "/apps/live", json=body)).data
    assert after["callbackSecret"] == "***"
    assert after["callbackUrl"] == "https://a.example/hook"
    assert after["features"]["wsIngest"] == {**before["features"]["wsIngest"], "maxFps": 7}
    assert {k for k in after if after[k] != before[k]} == {"callbackSecret", "callbackUrl", "features"}
    removed = (await api("PATCH", "/apps/live", json={"callbackUrl": None, "callbackSecret": None})).data
    assert (removed["callbackUrl"], removed["callbackSecret"]) == (None, None)
    assert (await api("PATCH", "/apps/live", json={})).data == removed


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "a.example",
        "https://",
        "http://user:pw@a.example/",
        "https://a.example:0/",
        "https://[",
        "https://a\n",
    ],
)
async def test_patch_when_the_callback_url_is_bad_then_400(api: Api, url: str) -> None:
    assert set((await api("PATCH", "/apps/live", json={"callbackUrl": url})).fields) == {"callbackUrl"}


async def test_patch_when_null_means_nothing_there_then_400(api: Api) -> None:
    body = {"displayName": None, "roomPrefix": None, "features": None}
    assert set((await api("PATCH", "/apps/live", json=body)).fields) == set(body)


async def test_patch_prefix_when_a_room_is_live_then_409(api: Api, fake_hub: FakeHub) -> None:
    fake_hub.go_live("live", "live-cam1")
    reply = await api("PATCH", "/apps/live", json={"roomPrefix": "yard"})
    assert (reply.status, reply.code) == (409, "room_is_live")


async def test_delete_then_gone(api: Api) -> None:
    reply = await api("DELETE", "/apps/live")
    assert (reply.status, reply.data) == (200, {"deleted": True, "name": "live"})
    assert (await api("GET", "/apps/live")).status == 404
    assert (await api("DELETE", "/apps/live")).status == 404


async def test_list_then_paged_and_an_app_token_sees_its_own(api: Api, services: Services) -> None:
    everything = await api("GET", "/apps?limit=1&offset=1")
    assert [a["name"] for a in everything.data] == ["other"]
    assert {k: everything.json[k] for k in ("total", "limit", "offset")} == {"total": 2, "limit": 1, "offset": 1}
    new = NewToken(name="x", scope=Scope.APP, app="other", rights=(Right.READ,))
    own = await api("GET", "/apps", token=(await services.tokens.create(new)).secret)
    assert ([a["name"] for a in own.data], own.json["total"]) == (["other"], 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("page=2", "page"),
    ],
)
@pytest.mark.parametrize("path", ["/apps", "/tokens", "/apps/live/ws-ingest", "/apps/live/streams"])
async def test_list_when_paging_is_bad_then_400_with_the_field(api: Api, path: str, query: str, field: str) -> None:
    reply = await api("GET", f"{path}?{query}")
    assert (reply.status, set(reply.fields)) == (400, {field})


async def test_stats_then_the_live_rooms(api: Api, fake_hub: FakeHub) -> None:
    fake_hub.go_live("live", "live-b", viewers=2)
    fake_hub.go_live("live", "live-a")
    fake_hub.go_live("other", "other-c")
    data = (await api("GET", "/apps/live/stats")).data
    assert data["app"] == {"name": "live", "displayName": "Live"}
    assert (data["live"]["activeStreams"], data["live"]["totalViewers"]) == (2, 2)
    assert data["live"]["rooms"][1] == {
        "room": "live-b",
        "state": "live",
        "viewers": {"mjpeg": 2, "ws": 0},
        "publishers": 1,
        "startedAt": "2026-11-23T12:00:00.123Z",
    }
