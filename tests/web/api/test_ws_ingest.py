from __future__ import annotations

import re

import pytest

from streamhub.model.streams import KEY_REVOKED
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub


async def test_create_then_the_contracts_answer_with_the_callers_base(api: Api) -> None:
    reply = await api("POST", "/apps/live/ws-ingest", json={"room": "cam1", "identity": "north-gate"})
    assert reply.status == 201
    data = reply.data
    assert re.fullmatch(r"wsi_[0-9a-f]{12}", data["id"])
    assert re.fullmatch(r"wsk_[A-Za-z0-9_-]{32}", data["streamKey"])
    assert {k: v for k, v in data.items() if k not in ("id", "streamKey", "keyPrefix")} == {
        "room": "live-cam1",
        "identity": "north-gate",
        "idleTimeoutSec": 30,
        "takeover": False,
        "wsUrl": "wss://hub.example/ingest/ws?app=live&room=cam1",
        "viewerWsUrl": "wss://hub.example/live/ws?app=live&room=cam1",
        "mjpegUrl": "https://hub.example/live/live/live-cam1/mjpeg",
        "frameUrl": "https://hub.example/live/live/live-cam1/frame.jpg",
        "playerUrl": "https://hub.example/play/live/live-cam1",
        "embedUrl": "https://hub.example/embed/live/live-cam1",
    }


async def test_list_then_rows_without_the_key(api: Api, fake_hub: FakeHub) -> None:
    made = (
        await api("POST", "/apps/live/ws-ingest", json={"room": "cam1", "idleTimeoutSec": 5, "takeover": True})
    ).data
    fake_hub.go_live("live", "live-cam1", key_id=made["id"])
    assert (await api("GET", "/apps/live/ws-ingest")).data == [
        {
            "id": made["id"],
            "room": "live-cam1",
            "keyPrefix": made["streamKey"][:8],
            "active": True,
            "identity": f"wscam-{made['streamKey'][-6:]}",
            "createdAt": "2026-11-23 12:00:00",
            "lastUsedAt": None,
            "idleTimeoutSec": 5,
            "takeover": True,
        }
    ]


async def test_create_when_every_field_is_bad_then_all_are_named(api: Api) -> None:
    body = {
        "room": "a.b",
        "identity": "-x",
        "idleTimeoutSec": 4,
        "takeover": "no",
        "streamKey": "wsk_short",
        "key": "k",
    }
    reply = await api("POST", "/apps/live/ws-ingest", json=body)
    assert set(reply.fields) == set(body)
    assert b"wsk_short" not in reply.body


@pytest.mark.parametrize("room", ["", "a.b", "a b", "_a", "-a", "a" * 65, "a/b", "ä"])
async def test_create_when_the_room_is_impossible_then_400(api: Api, room: str) -> None:
    assert set((await api("POST", "/apps/live/ws-ingest", json={"room": room})).fields) == {"room"}


@pytest.mark.parametrize(("timeout", "status"), [(4, 400), (5, 201), (3600, 201), (3601, 400)])
async def test_create_when_the_idle_timeout_is_at_its_limits(api: Api, timeout: int, status: int) -> None:
    reply = await api("POST", "/apps/live/ws-ingest", json={"room": "c", "idleTimeoutSec": timeout})
    assert reply.status == status


async def test_create_when_the_key_is_brought_along_then_it_is_that_one_once(api: Api) -> None:
    body = {"room": "cam1", "streamKey": "wsk_burnt-into-the-device-2024"}
    assert (await api("POST", "/apps/live/ws-ingest", json=body)).data["streamKey"] == body["streamKey"]
    again = await api("POST", "/apps/other/ws-ingest", json=body)
    assert (again.status, again.code) == (409, "camera_key_exists")


async def test_create_when_one_room_has_two_keys_then_both(api: Api) -> None:
    for _ in range(2):
        assert (await api("POST", "/apps/live/ws-ingest", json={"room": "cam1"})).status == 201
    assert (await api("GET", "/apps/live/ws-ingest")).json["total"] == 2


async def test_rotate_then_a_new_key_with_its_urls(api: Api, fake_hub: FakeHub) -> None:
    old = (await api("POST", "/apps/live/ws-ingest", json={"room": "cam1"})).data
    fake_hub.go_live("live", "live-cam1", key_id=old["id"])
    reply = await api("POST", f"/apps/live/ws-ingest/{old['id']}/rotate")
    assert reply.status == 201
    assert {k for k in old if reply.data[k] != old[k]} == {"streamKey", "keyPrefix"}
    assert fake_hub.orders == [("live/live-cam1", KEY_REVOKED)]


async def test_revoke_then_the_contracts_answers(api: Api) -> None:
    key_id = (await api("POST", "/apps/live/ws-ingest", json={"room": "cam1"})).data["id"]
    elsewhere = await api("DELETE", f"/apps/other/ws-ingest/{key_id}")
    assert (elsewhere.status, elsewhere.json["message"]) == (404, f"ws-ingest key '{key_id}' not found")
    assert (await api("DELETE", f"/apps/live/ws-ingest/{key_id}")).data == {"id": key_id, "deleted": True}
    assert (await api("DELETE", f"/apps/live/ws-ingest/{key_id}")).status == 404


@pytest.mark.parametrize("room", ["cam1", "live-cam1"])
async def test_live_room_when_a_camera_is_there_then_where_to_watch(api: Api, fake_hub: FakeHub, room: str) -> None:
    fake_hub.go_live("live", "live-cam1")
    assert (await api("GET", f"/apps/live/ws-ingest/live/{room}", token="")).data == {
        "active": True,
        "type": "ws-mjpeg",
        "room": "live-cam1",
        "state": "live",
        "mjpegUrl": "https://hub.example/live/live/live-cam1/mjpeg",
        "frameUrl": "https://hub.example/live/live/live-cam1/frame.jpg",
        "wsUrl": "wss://hub.example/live/ws?app=live&room=live-cam1",
    }


async def test_live_room_when_nobody_is_there_then_inactive(api: Api) -> None:
    reply = await api("GET", "/apps/live/ws-ingest/live/cam1", token="")
    assert reply.data == {"active": False, "type": None, "room": "live-cam1"}


async def test_live_room_when_private_or_unknown_then_the_same_404(api: Api, fake_hub: FakeHub) -> None:
    fake_hub.go_live("live", "live-cam1")
    await api("PATCH", "/apps/live", json={"features": {"publicPlayback": False}})
    private = await api("GET", "/apps/live/ws-ingest/live/cam1", token="")
    unknown = await api("GET", "/apps/nope/ws-ingest/live/cam1", token="")
    impossible = await api("GET", "/apps/other/ws-ingest/live/a%20b", token="")
    assert private.status == unknown.status == impossible.status == 404
    assert private.body == unknown.body == impossible.body
