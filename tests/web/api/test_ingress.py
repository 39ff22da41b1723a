from __future__ import annotations

import re

import pytest

from streamhub.model.access import Right, Scope
from streamhub.model.ingress import Activity, IngressState
from streamhub.services.bundle import Services
from streamhub.services.tokens import NewToken
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub


async def make(api: Api, **fields: object) -> dict[str, object]:
    reply = await api("POST", "/apps/live/ingress", json={"inputType": "whip", **fields})
    assert reply.status == 201, reply.body
    data: dict[str, object] = reply.data
    return data


async def test_create_then_the_contracts_answer(api: Api) -> None:
    data = await make(api, room="studio.1", participantIdentity="obs", participantName="Anna's OBS")
    assert re.fullmatch(r"IN_[0-9a-f]{12}", str(data["ingressId"]))
    key = str(data["streamKey"])
    assert re.fullmatch(r"stk_[A-Za-z0-9_-]{32}", key)
    assert {k: v for k, v in data.items() if k != "ingressId"} == {
        "inputType": "whip",
        "url": "https://hub.example/whip",
        "streamKey": key,
        "stream_key": key,
        "whip_url": f"https://hub.example/whip/{key}",
        "rtmp_url": None,
        "roomName": "live-studio.1",
        "participantIdentity": "obs",
        "participantName": "Anna's OBS",
        "keyPrefix": key[:8],
        "requires_password": False,
        "adaptive": False,
        "player_url": "https://hub.example/play/live/live-studio.1",
        "embed_iframe": '<iframe src="https://hub.example/embed/live/live-studio.1" width="640" height="360"'
        ' frameborder="0" allow="autoplay; fullscreen; camera; microphone" allowfullscreen></iframe>',
    }


async def test_create_without_a_room_then_the_apps_own(api: Api) -> None:
    data = await make(api)
    assert (data["roomName"], data["participantIdentity"]) == ("live", "ingress-live")


async def test_create_twice_for_one_room_then_two_identities(api: Api) -> None:
    one, two = await make(api, room="a"), await make(api, room="a")
    assert one["participantIdentity"] == "ingress-live"
    assert re.fullmatch(r"ingress-live-[0-9a-f]{6}", str(two["participantIdentity"]))
    taken = await api(
        "POST", "/apps/live/ingress", json={"inputType": "whip", "room": "a", "participantIdentity": "ingress-live"}
    )
    assert (taken.status, taken.code) == (409, "identity_taken")
    assert (await make(api, room="b", participantIdentity="ingress-live"))["roomName"] == "live-b"


async def test_create_when_every_field_is_bad_then_all_are_named(api: Api) -> None:
    body = {
        "inputType": "webrtc",
        "room": "a b",
        "participantIdentity": "",
        "participantName": "x" * 121,
        "enableTranscoding": "no",
        "url": "",
        "onDemand": "no",
        "transport": "carrier pigeon",
        "maxGopSeconds": -1,
        "maxHeight": 0.5,
        "enabled": None,
        "streamKey": "short",
        "key": 1,
    }
    assert set((await api("POST", "/apps/live/ingress", json=body)).fields) == set(body)
    assert set((await api("POST", "/apps/live/ingress", json={})).fields) == {"inputType"}
    assert set((await api("POST", "/apps/live/ingress", json={"inputType": "whip", "url": "http://x"})).fields) == {
        "url"
    }


async def test_create_with_a_key_of_ones_own_then_only_who_manages_and_once(api: Api, services: Services) -> None:
    body = {"inputType": "whip", "room": "a", "streamKey": "burnt-into-the-drone-2024"}
    publisher = NewToken(name="p", scope=Scope.GLOBAL, rights=(Right.PUBLISH,))
    token = (await services.tokens.create(publisher)).secret
    assert (await api("POST", "/apps/live/ingress", json=body, token=token)).status == 403
    assert (await api("POST", "/apps/live/ingress", json=body)).data["stream_key"] == body["streamKey"]
    again = await api("POST", "/apps/other/ingress", json=body)
    assert (again.status, again.code) == (409, "stream_key_exists")
    assert b"burnt" not in again.body


async def test_list_when_the_source_is_there_then_with_the_rooms_viewers(
    api: Api, services: Services, fake_hub: FakeHub
) -> None:
    class States:
        def activity(self, _ingress_id: str) -> Activity:
            return Activity(IngressState.PUBLISHING)

    await make(api, inputType="rtmp", room="drone")
    fake_hub.go_live("live", "live-drone", viewers=3)
    assert [row["viewers"] for row in (await api("GET", "/apps/live/ingress")).data] == [None]
    services.relays.states = States()
    (row,) = (await api("GET", "/apps/live/ingress")).data
    assert (row["status"], row["viewers"]) == ("publishing", 3)


async def test_list_then_rows_without_the_key(api: Api) -> None:
    made = await make(api, room="a")
    (row,) = (await api("GET", "/apps/live/ingress")).data
    assert row == {
        "ingressId": made["ingressId"],
        "inputType": "whip",
        "url": "https://hub.example/whip",
        "roomName": "live-a",
        "room": "a",
        "participantIdentity": "ingress-live",
        "participantName": None,
        "name": "live-a",
        "keyPrefix": made["keyPrefix"],
        "enabled": True,
        "status": "inactive",
        "state": "offline",
        "bitrate": None,
        "width": None,
        "height": None,
        "fps": None,
        "codec": None,
        "keyframeInterval": None,
        "hints": [],
        "viewers": None,
        "startedAt": None,
        "lastError": None,
        "retryAt": None,
        "onDemand": None,
        "transport": None,
        "maxGopSeconds": None,
        "maxHeight": None,
        "createdAt": "2026-11-23 12:00:00",
        "lastUsedAt": None,
        "requires_password": False,
    }
    assert (await api("GET", f"/apps/live/ingress/{made['ingressId']}")).data == row


@pytest.mark.parametrize(
    ("query", "rooms"),
    [
        ("", ["live-cxd", "live-c_d", "live-b", "live-a"]),
        ("room=b", ["live-b"]),
        ("room=live-b", ["live-b"]),
        ("room=nope", []),
        ("q=C_D", ["live-c_d"]),
        ("q=%25", []),
        ("q=IN_", ["live-cxd", "live-c_d", "live-b", "live-a"]),
        ("limit=1&offset=2", ["live-b"]),
    ],
)
async def test_list_when_filtered_then_what_fits(api: Api, query: str, rooms: list[str]) -> None:
    for room in ("a", "b", "c_d", "cxd"):
        await make(api, room=room, participantIdentity=f"me{room[0]}")
    await api("POST", "/apps/other/ingress", json={"inputType": "whip", "room": "b"})
    reply = await api("GET", f"/apps/live/ingress?{query}")
    found = [r["roomName"] for r in reply.data]
    assert found == rooms
    if "limit" not in query:
        assert reply.json["total"] == len(found)


async def test_list_when_the_query_is_bad_then_400(api: Api) -> None:
    assert set((await api("GET", "/apps/live/ingress?limit=0&offset=-1&x=1")).fields) == {"limit", "offset", "x"}


async def test_rotate_then_a_new_key_of_the_same_ingress(api: Api) -> None:
    old = await make(api, room="a")
    reply = await api("POST", f"/apps/live/ingress/{old['ingressId']}/rotate")
    assert reply.status == 201
    assert {k for k in old if reply.data[k] != old[k]} == {"streamKey", "stream_key", "keyPrefix", "whip_url"}


async def test_patch_then_the_name_others_see(api: Api) -> None:
    path = f"/apps/live/ingress/{(await make(api, participantName='A'))['ingressId']}"
    assert (await api("PATCH", path, json={"participantName": "B"})).data["participantName"] == "B"
    assert (await api("PATCH", path, json={})).data["participantName"] == "B"
    assert (await api("PATCH", path, json={"participantName": None})).data["participantName"] is None
    reply = await api("PATCH", path, json={"url": "rtsp://me:hunter22@cam/1", "onDemand": True})
    assert (reply.status, set(reply.fields)) == (400, {"url", "onDemand"})
    assert b"hunter22" not in reply.body


async def test_delete_then_the_contracts_answer_and_404_from_then_on(api: Api) -> None:
    one = (await make(api))["ingressId"]
    assert (await api("DELETE", f"/apps/other/ingress/{one}")).status == 404
    assert (await api("DELETE", f"/apps/live/ingress/{one}")).data == {"ingressId": one, "deleted": True}
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("PATCH", "")):
        reply = await api(
            method, f"/apps/live/ingress/{one}{path}", json={"enabled": True} if method == "PATCH" else None
        )
        assert (reply.status, reply.json["message"]) == (404, f"ingress {one} not found")
