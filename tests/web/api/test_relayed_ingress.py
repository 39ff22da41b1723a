"""``/apps/<app>/ingress`` of what relays of ours take in: RTMP, and sources that are pulled."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
import trio

from streamhub.errors import Unavailable
from streamhub.model.ingress import Activity, IngressState
from streamhub.model.relays import SourceUnusable
from streamhub.net.guard import OutboundRules
from streamhub.services.bundle import Services
from tests.fakes.api import Api
from tests.fakes.relay_supervisor import FakeRelays

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
CAMERA = "rtsp://admin:hunt@er:22#@192.168.1.20:554/cam/realmonitor?channel=1&subtype=0"
SHOWN = "rtsp://***@192.168.1.20:554/cam/realmonitor?channel=1&subtype=0"


@pytest.fixture
def relays(services: Services) -> FakeRelays:
    return FakeRelays().join(services.relays)


async def make(api: Api, kind: str, **fields: object) -> dict[str, object]:
    reply = await api("POST", "/apps/live/ingress", json={"inputType": kind, **fields})
    assert reply.status == 201, reply.body
    data: dict[str, object] = reply.data
    return data


async def test_rtmp_then_server_and_key_and_both_in_one_at_creation_only(api: Api) -> None:
    made = await make(api, "rtmp", room="stage")
    key = str(made["streamKey"])
    assert (made["url"], made["rtmp_url"]) == ("rtmp://hub.example:1935/live", f"rtmp://hub.example:1935/live/{key}")
    assert (made["whip_url"], made["stream_key"], made["roomName"]) == (None, key, "live-stage")
    listed = await api("GET", "/apps/live/ingress")
    assert listed.data[0]["url"] == "rtmp://hub.example:1935/live"
    assert key.encode() not in listed.body
    again = (await api("POST", f"/apps/live/ingress/{made['ingressId']}/rotate")).data
    assert again["rtmp_url"] == f"rtmp://hub.example:1935/live/{again['streamKey']}" != made["rtmp_url"]


@pytest.mark.parametrize(
    ("url", "port", "shown"),
    [
        (None, 41935, "rtmp://hub.example:41935/live"),
        ("rtmp://media.example", 41935, "rtmp://media.example/live"),
        ("rtmps://media.example:443/live", 41935, "rtmps://media.example:443/live"),
    ],
)
async def test_rtmp_url_then_the_settings_else_our_own_port(
    api: Api, services: Services, url: str | None, port: int, shown: str
) -> None:
    services.relays.rtmp_url, services.relays.rtmp_port = url, port
    assert (await make(api, "rtmp"))["url"] == shown


async def test_rtmp_when_it_is_switched_off_then_503_that_names_the_setting(api: Api, services: Services) -> None:
    services.relays.rtmp_port = None
    reply = await api("POST", "/apps/live/ingress", json={"inputType": "rtmp"})
    assert (reply.status, reply.code) == (503, "rtmp_off")
    assert "STREAMHUB_RTMP_BIND" in reply.json["hint"]


async def test_pull_then_its_address_without_credentials_everywhere(api: Api, services: Services) -> None:
    made = await make(api, "rtsp", url=CAMERA, room="door", onDemand=True, transport="tcp", maxGopSeconds=4)
    assert [made[k] for k in ("url", "streamKey", "stream_key", "rtmp_url", "whip_url", "keyPrefix")] == [
        SHOWN,
        *(None, None, None, None, ""),
    ]
    one = await api("GET", f"/apps/live/ingress/{made['ingressId']}")
    options = ("url", "onDemand", "transport", "maxGopSeconds", "maxHeight", "enabled", "status", "state")
    assert [one.data[k] for k in options] == [SHOWN, True, "tcp", 4.0, None, True, "inactive", "offline"]
    assert b"hunt" not in one.body + (await api("GET", "/apps/live/ingress")).body
    (source,) = await services.relays.pulls()
    assert source.url == CAMERA.replace("hunt@er:22#", "hunt%40er%3A22%23")


async def test_patch_then_another_address_and_options(api: Api, services: Services, relays: FakeRelays) -> None:
    made = await make(api, "url", url="https://user:pw@192.168.1.30/live.m3u8", maxHeight=480)
    path = f"/apps/live/ingress/{made['ingressId']}"
    body = {"url": CAMERA, "transport": "udp", "onDemand": True, "maxGopSeconds": 2.5, "maxHeight": None}
    changed = (await api("PATCH", path, json=body)).data
    options = ("url", "transport", "onDemand", "maxGopSeconds", "maxHeight", "enabled")
    assert [changed[k] for k in options] == [SHOWN, "udp", True, 2.5, None, True]
    assert (relays.changes, relays.ended) == (2, [])
    (source,) = await services.relays.pulls()
    assert source.url.endswith("@192.168.1.20:554/cam/realmonitor?channel=1&subtype=0")
    again = (await api("PATCH", path, json={"onDemand": False})).data
    assert [again[k] for k in options] == [SHOWN, "udp", False, 2.5, None, True]
    assert (await services.relays.pulls())[0].url == source.url
    # What a listing shows, sent back, would lose the password.
    reply = await api("PATCH", path, json={"url": SHOWN})
    assert "leave the url out" in reply.fields["url"]
    assert (await services.relays.pulls())[0].url == source.url


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"inputType": "rtsp"}, "url", "is required"),
        ({"inputType": "rtsp", "url": "http://cam/1"}, "url", "expected rtsp://, rtsps://"),
        ({"inputType": "url", "url": "file:///etc/passwd"}, "url", "expected rtsp://, rtsps://, http://, https://"),
        ({"inputType": "url", "url": "http://cam/1", "transport": "tcp"}, "transport", "goes with rtsp://"),
        ({"inputType": "rtsp", "url": "rtsp://cam/1", "streamKey": "k" * 30}, "streamKey", "no stream key"),
        ({"inputType": "rtmp", "url": "rtmp://cam/1"}, "url", "the encoder comes to us"),
        ({"inputType": "rtmp", "maxHeight": 720}, "maxHeight", "only with a pull"),
        ({"inputType": "rtsp", "url": "rtsp://me:hunter22@127.0.0.1/1"}, "url", "STREAMHUB_OUTBOUND_ALLOW"),
        ({"inputType": "url", "url": "http://me:hunter22@169.254.169.254/1"}, "url", "metadata"),
        ({"inputType": "url", "url": "http://[::ffff:127.0.0.1]/"}, "url", "this machine itself"),
        ({"inputType": "rtsp", "url": "rtsp://" + "x" * 500}, "url", "1 to 500 characters"),
    ],
)
async def test_create_and_test_when_they_cannot_be_then_400_that_says_why(
    api: Api, relays: FakeRelays, body: dict[str, object], field: str, words: str
) -> None:
    reply = await api("POST", "/apps/live/ingress", json=body)
    assert reply.status == 400
    assert words in reply.fields[field]
    assert b"hunter22" not in reply.body
    assert (await api("GET", "/apps/live/ingress")).json["total"] == 0
    if body["inputType"] != "rtmp":
        tested = await api("POST", "/apps/live/ingress/test", json=body)
        assert (tested.status, tested.fields[field]) == (400, reply.fields[field])
    assert (relays.changes, relays.probed) == (0, [])


async def test_name_without_an_address_now_then_made_all_the_same_and_not_tested(
    api: Api, services: Services, relays: FakeRelays
) -> None:
    async def nothing(_host: str) -> list[str]:
        await trio.lowlevel.checkpoint()
        return []

    services.relays.outbound = OutboundRules(resolve=nothing)
    url = "rtsp://front-door.example/1"
    reply = await api("POST", "/apps/live/ingress/test", json={"inputType": "rtsp", "url": url})
    assert (reply.status, reply.fields["url"]) == (400, "the name 'front-door.example' has no address")
    assert (await make(api, "rtsp", url=url))["url"] == url
    assert relays.probed == []


async def test_row_then_what_its_relay_does(api: Api, relays: FakeRelays) -> None:
    ids = [(await make(api, "rtmp", room=room))["ingressId"] for room in ("a", "b")]
    relays.activities[str(ids[0])] = Activity(
        *(IngressState.PUBLISHING, AT, AT, None, 2_000_000, 1280, 720, 29.97, "h264", 2.0),
        hints=("set B-frames to 0 to save CPU",),
    )
    relays.activities[str(ids[1])] = Activity(IngressState.ERROR, error="it stopped sending", retry_at=AT)
    found = {row["ingressId"]: row for row in (await api("GET", "/apps/live/ingress")).data}
    one, two = (found[i] for i in ids)
    names = ("status", "state", "bitrate", "width", "height", "fps", "codec", "keyframeInterval", "hints", "startedAt")
    assert [one[n] for n in names] == [
        *("publishing", "live", 2_000_000, 1280, 720, 29.97, "h264", 2.0),
        *(["set B-frames to 0 to save CPU"], "2026-11-23T12:00:00.000Z"),
    ]
    assert [two[n] for n in ("status", "state", "lastError", "retryAt")] == [
        *("error", "offline", "it stopped sending", "2026-11-23T12:00:00.000Z")
    ]
    assert (await api("GET", "/apps/live/stats")).data["ingress"] == {"total": 2, "active": 1}


async def test_test_then_what_the_source_has_and_nothing_is_stored(api: Api, relays: FakeRelays) -> None:
    body = {"inputType": "rtsp", "url": CAMERA, "transport": "udp", "maxGopSeconds": 3, "room": "door"}
    reply = await api("POST", "/apps/live/ingress/test", json=body)
    assert reply.status == 200
    data = reply.data
    summary = ("url", "codecs", "width", "height", "fps", "keyframeInterval", "bitrate")
    assert [data[k] for k in summary] == [SHOWN, ["h264", "pcm_alaw"], 1280, 720, 15.0, 2.0, 1_500_000]
    assert data["plan"][0] == {"output": "webrtc", "video": "copy", "audio": "encode", "why": "WebRTC wants Opus"}
    assert data["tracks"][1] == {
        **dict.fromkeys(("profile", "width", "height", "fps")),
        "kind": "audio",
        "codec": "pcm_alaw",
        "bFrames": False,
        "sampleRate": 8000,
        "channels": 1,
    }
    assert data["hints"] == ["set the camera's key-frame interval to 1 s"]
    head, _, picture = data["jpeg"].partition(",")
    assert (head, base64.b64decode(picture)) == ("data:image/jpeg;base64", b"\xff\xd8\xff\xd9")
    (source,) = relays.probed
    assert (source.transport, source.max_gop_s, source.grant.room.room) == ("udp", 3.0, "live-door")
    assert "hunt%40er" in source.url
    assert (await api("GET", "/apps/live/ingress")).json["total"] == 0


async def test_test_when_it_gives_nothing_or_nobody_can_look_then_why(
    api: Api, services: Services, relays: FakeRelays
) -> None:
    body = {"inputType": "rtsp", "url": CAMERA}
    relays.found = SourceUnusable("the camera refused user and password")
    reply = await api("POST", "/apps/live/ingress/test", json=body)
    assert (reply.status, reply.code, reply.json["message"]) == (
        *(422, "source_unusable"),
        "the camera refused user and password",
    )
    relays.found = Unavailable("no worker can be started")
    assert (await api("POST", "/apps/live/ingress/test", json=body)).status == 503
    services.relays.prober = None
    reply = await api("POST", "/apps/live/ingress/test", json=body)
    assert (reply.status, reply.code) == (503, "no_relays")
    for kind in ("whip", "rtmp"):
        reply = await api("POST", "/apps/live/ingress/test", json={"inputType": kind})
        assert "only what is pulled" in reply.fields["inputType"]
