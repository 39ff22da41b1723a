"""Join tokens on the real livekit-server, through our own port, with LiveKit's own SDK."""

from __future__ import annotations

import json
from typing import Any

import trio

from tests.support.rtc import rtc_peer
from tests.support.server import Server

SEED = """curl -s -X POST https://streamhub.example.com/api/v1/apps/live/tokens \\
-H "Authorization: Bearer $STREAMHUB_TOKEN" \\
-H "Content-Type: application/json" \\
-d '{"room":"demo","identity":"phone-42","canPublish":true,"canSubscribe":true,"ttl":"1h"}'"""


async def mint(server: Server, **asked: Any) -> Any:
    answer = await server.request("POST", "/api/v1/apps/live/tokens", {"room": "demo", **asked})
    assert answer.status == 201, answer.body
    return answer.data


async def test_guides_curl_when_run_verbatim_then_its_answer_joins(hub: Server) -> None:
    command = SEED.replace("https://streamhub.example.com", hub.base_url)
    done = await trio.run_process(
        ["sh", "-c", command], capture_stdout=True, env={"STREAMHUB_TOKEN": hub.admin_token, "PATH": "/usr/bin:/bin"}
    )
    data = json.loads(done.stdout)["data"]
    assert (data["app"], data["room"], data["identity"]) == ("live", "live-demo", "phone-42")
    assert data["wsUrl"] == hub.ws_url
    assert data["playUrl"] == f"{hub.base_url}/play/live/live-demo"
    async with rtc_peer(data["wsUrl"], data["token"]) as phone:
        joined = await phone.said("joined")
        assert (joined["who"], joined["room"]) == ("phone-42", "live-demo")


async def test_room_when_one_publishes_then_another_sees_and_hears_and_a_viewer_is_not_seen(hub: Server) -> None:
    ann, bob = await mint(hub, identity="ann"), await mint(hub, identity="bob", canPublish=False)
    play = (await hub.request("GET", "/api/v1/apps/live/play-token/demo", token=None)).data
    async with (
        rtc_peer(ann["wsUrl"], ann["token"]) as one,
        rtc_peer(bob["wsUrl"], bob["token"]) as two,
        rtc_peer(play["wsUrl"], play["token"]) as viewer,
    ):
        for peer in (one, two, viewer):
            await peer.said("joined")
        await one.do("publish", kind="video")
        await one.do("publish", kind="audio")
        for peer in (two, viewer):
            await peer.said("frames", who="ann", count=10)
            await peer.said("sound", who="ann")
        who = {e["who"] for e in one.events if e["event"] == "participant"}
        assert not any(w.startswith("viewer-") for w in who)


async def test_token_when_forged_or_of_another_server_then_refused(hub: Server) -> None:
    token = (await mint(hub, identity="ann"))["token"]
    forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    async with rtc_peer(hub.ws_url, forged) as peer:
        await peer.said("refused")
    assert token not in hub.log()
