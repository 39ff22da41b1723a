"""STREAMHUB_INGRESS=livekit on a real livekit-server with a real Redis.

LiveKit's ingress service does not run here. What it would do is done in its place: its reports are put where
livekit-server keeps them, and a client joins by the token it would make (kind ``ingress``, its id as an attribute).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from livekit import api as livekit_api
from livekit.protocol import ingress as proto

from streamhub.livekit.following import PERIOD_S
from streamhub.livekit.ingresses import LIVEKIT_INGRESS_ATTRIBUTE, IngressApi, LiveIngress
from tests.e2e.rooms.conftest import livekit_ready
from tests.fakes.livekit import note, sign
from tests.support.livekit import livekit_env
from tests.support.redis import KEYS, RTMP_BASE, WHIP_BASE, Outside, livekit_with_redis
from tests.support.rtc import RtcPeer, rtc_peer
from tests.support.server import Server, run_server
from tests.support.waiting import eventually

INGRESS = "/api/v1/apps/live/ingress"
STREAMS = "/api/v1/apps/live/streams"
SOON_S = PERIOD_S + 3


@attrs.frozen
class Site:
    """Our server, and the livekit-server it uses; ``there`` asks that one directly."""

    hub: Server
    outside: Outside

    @property
    def there(self) -> IngressApi:
        return IngressApi(self.outside.server().client)

    async def make(self, kind: str, room: str = "stage") -> tuple[dict[str, Any], LiveIngress]:
        """The answer, and what LiveKit has of it."""
        answer = await self.hub.request("POST", INGRESS, {"inputType": kind, "room": room})
        assert answer.status == 201, answer.body
        (found,) = [i for i in await self.there.list() if i.stream_key == answer.data["streamKey"]]
        return answer.data, found

    async def row(self, ingress_id: str) -> dict[str, Any]:
        data: dict[str, Any] = (await self.hub.request("GET", f"{INGRESS}/{ingress_id}")).data
        return data

    async def becomes(self, ingress_id: str, **expected: Any) -> None:
        async def check() -> bool:
            return expected.items() <= (await self.row(ingress_id)).items()

        await eventually(check, within_s=SOON_S)

    async def report(self, livekit_id: str, status: proto.IngressState.Status.ValueType, **more: Any) -> None:
        await self.outside.redis.set_state(livekit_id, proto.IngressState(status=status, started_at=10**18, **more))

    async def hook(self, name: str, event_id: str) -> None:
        """A webhook as livekit-server would send it."""
        body = note(name, "live-stage", event_id=event_id)
        headers = {"Authorization": sign(KEYS, body), "Content-Type": "application/webhook+json"}
        answer = await self.hub.request("POST", "/api/v1/webhooks/livekit", raw=body, token=None, headers=headers)
        assert answer.status == 200

    async def types(self) -> dict[str, str]:
        return {s["participant"]: s["type"] for s in (await self.hub.request("GET", STREAMS)).data}

    @asynccontextmanager
    async def publisher(self, of: LiveIngress) -> AsyncIterator[RtcPeer]:
        """In the place of LiveKit's ingress service: a participant of its kind that publishes."""
        token = livekit_api.AccessToken(KEYS.api_key, KEYS.api_secret).with_identity(of.identity).with_kind("ingress")
        grants = livekit_api.VideoGrants(room_join=True, room=of.room, can_publish=True, can_subscribe=False)
        marked = token.with_grants(grants).with_attributes({LIVEKIT_INGRESS_ATTRIBUTE: of.id})
        async with rtc_peer(self.outside.url, marked.to_jwt()) as peer:
            await peer.do("publish", kind="video")
            await peer.said("published")
            yield peer


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with livekit_with_redis(tmp_path) as outside:
        async with run_server(tmp_path, env={**outside.env, "STREAMHUB_INGRESS": "livekit"}) as hub:
            await livekit_ready(hub)
            yield Site(hub, outside)


async def test_ingresses_are_made_followed_disconnected_and_removed(site: Site) -> None:
    rtmp, there = await site.make("rtmp")
    assert (rtmp["url"], rtmp["rtmp_url"]) == (RTMP_BASE, f"{RTMP_BASE}/{rtmp['streamKey']}")
    assert (there.room, there.identity) == ("live-stage", "ingress-live")
    whip, whip_there = await site.make("whip")
    assert whip["whip_url"] == f"{WHIP_BASE}/{whip['streamKey']}"
    rtmp_id, whip_id = str(rtmp["ingressId"]), str(whip["ingressId"])
    await site.becomes(rtmp_id, status="inactive", bitrate=None, startedAt=None)

    # An encoder comes: the service reports twice and joins. The webhooks make it known sooner than the timer would.
    await site.report(there.id, proto.IngressState.ENDPOINT_BUFFERING)
    await site.hook("ingress_started", "EV_1")
    await site.becomes(rtmp_id, status="buffering", startedAt="2001-09-09T01:46:40.000Z")
    video = proto.InputVideoState(width=1920, height=1080, average_bitrate=3_000_000)
    await site.report(there.id, proto.IngressState.ENDPOINT_PUBLISHING, video=video)
    async with site.publisher(there) as encoder, site.publisher(whip_there):
        await site.hook("ingress_started", "EV_2")
        await site.hook("ingress_started", "EV_2")
        await site.becomes(rtmp_id, status="publishing", bitrate=3_000_000, width=1920, height=1080)
        await site.becomes(whip_id, status="publishing")
        assert await site.types() == {"ingress-live": "rtmp", whip_there.identity: "whip"}
        stats = (await site.hub.request("GET", "/api/v1/stats")).data
        assert (stats["livekitReachable"], stats["ingress"]) == (True, {"reachable": True, "active": 1, "total": 2})

        # DELETE of the stream disconnects the source; its ingress stays, for who has the key to come back.
        assert (await site.hub.request("DELETE", f"{STREAMS}/live-stage%2Fingress-live")).status == 204
        assert (await encoder.said("disconnected"))["reason"] == "PARTICIPANT_REMOVED"
        assert await site.types() == {whip_there.identity: "whip"}
        await site.report(there.id, proto.IngressState.ENDPOINT_ERROR, error="disconnected from room", updated_at=1)
        await site.hook("ingress_ended", "EV_3")
        await site.becomes(rtmp_id, status="error", lastError="disconnected from room")

    # Rotated: another ingress of LiveKit's under the same id of ours. Switched off: LiveKit knows.
    rotated = (await site.hub.request("POST", f"{INGRESS}/{rtmp_id}/rotate")).data
    assert (rotated["ingressId"], rotated["streamKey"] != rtmp["streamKey"]) == (rtmp_id, True)
    by_key = {i.stream_key: i for i in await site.there.list()}
    assert set(by_key) == {rotated["streamKey"], whip["streamKey"]}
    patched = await site.hub.request("PATCH", f"{INGRESS}/{rtmp_id}", {"enabled": False})
    assert patched.data["enabled"] is False
    assert not (await site.there.get(by_key[rotated["streamKey"]].id)).enabled

    # Deleted behind our back: told as such. Deleted by us: gone there too. No key in any listing or in the log.
    await site.there.delete(whip_there.id)
    await site.becomes(whip_id, status="error")
    assert "no longer has this ingress" in (await site.row(whip_id))["lastError"]
    listed = (await site.hub.request("GET", INGRESS)).body.decode()
    for key in (rtmp["streamKey"], rotated["streamKey"], whip["streamKey"]):
        assert key not in listed
        assert key not in site.hub.log()
    assert (await site.hub.request("DELETE", f"{INGRESS}/{rtmp_id}")).status == 200
    assert (await site.hub.request("DELETE", f"{INGRESS}/{whip_id}")).status == 200
    assert await site.there.list() == []


async def test_without_an_ingress_service_a_pull_answers_503_and_what_to_do(site: Site) -> None:
    before = trio.current_time()
    asked = {"inputType": "url", "url": "http://cam.example/1.mp4"}
    answer = await site.hub.request("POST", INGRESS, asked)
    assert (answer.status, answer.json()["code"]) == (503, "ingress_no_worker")
    assert "cpu_cost" in answer.json()["hint"]
    assert trio.current_time() - before < 10
    assert (await site.hub.request("GET", INGRESS)).json()["total"] == 0
    refused = await site.hub.request("POST", INGRESS, {**asked, "url": "rtsp://cam.example/1"})
    assert refused.status == 400
    assert "cannot pull RTSP" in refused.json()["message"]


async def test_app_when_deleted_then_livekit_has_none_of_its_ingresses(site: Site) -> None:
    await site.hub.request("POST", "/api/v1/apps", {"name": "event"})
    made = await site.hub.request("POST", "/api/v1/apps/event/ingress", {"inputType": "rtmp"})
    assert made.status == 201
    _, kept = await site.make("rtmp")
    assert (await site.hub.request("GET", f"{INGRESS}/{made.data['ingressId']}")).status == 404
    assert (await site.hub.request("DELETE", "/api/v1/apps/event")).status == 200

    async def gone() -> bool:
        return [i.id for i in await site.there.list()] == [kept.id]

    await eventually(gone, within_s=SOON_S)


async def test_managed_livekit_without_redis_starts_and_creation_says_what_is_missing(tmp_path: Path) -> None:
    async with run_server(tmp_path, env={**livekit_env(), "STREAMHUB_INGRESS": "livekit"}) as hub:
        await livekit_ready(hub)
        answer = await hub.request("POST", INGRESS, {"inputType": "rtmp"})
        assert (answer.status, answer.json()["code"]) == (503, "ingress_not_connected")
        assert "Redis" in answer.json()["hint"]

        async def told() -> bool:
            checks = (await hub.request("GET", "/api/v1/health?verbose=1")).json()["checks"]
            return [c["ok"] for c in checks if c["name"] == "ingress"] == [False]

        await eventually(told, within_s=SOON_S)
        assert (await hub.request("GET", "/api/v1/stats")).data["ingress"]["reachable"] is False
