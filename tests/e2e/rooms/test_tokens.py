"""Join tokens on the real livekit-server, through our own port, with LiveKit's own SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
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


@pytest.mark.parametrize(
    ("asked", "may", "may_not"),
    [
        ({"canPublish": False}, [], ["video", "audio"]),
        ({"hidden": True}, [], ["video"]),
        ({"audioOnly": True}, ["audio"], ["video"]),
    ],
    ids=["view-only", "hidden", "audio-only"],
)
async def test_token_when_it_grants_less_then_livekit_keeps_the_rest_out(
    hub: Server, asked: dict[str, Any], may: list[str], may_not: list[str]
) -> None:
    """LiveKit refuses without a word: what another publishes afterwards arrives, what it refused never does."""
    data = await mint(hub, identity="ann", **asked)
    other, watcher = await mint(hub, identity="bob"), await mint(hub, identity="eve")
    async with (
        rtc_peer(data["wsUrl"], data["token"]) as ann,
        rtc_peer(other["wsUrl"], other["token"]) as bob,
        rtc_peer(watcher["wsUrl"], watcher["token"]) as eve,
    ):
        for peer in (ann, bob, eve):
            await peer.said("joined")
        for kind in [*may_not, *may]:
            await ann.do("publish", kind=kind)
        for kind in may:
            await ann.said("published", kind=kind)
        await bob.do("publish", kind="video")
        await bob.do("publish", kind="audio")
        await eve.said("frames", who="bob", count=10)
        await eve.said("sound", who="bob")
        heard = {e["event"] for e in eve.events if e.get("who") == "ann"} - {"participant"}
        assert heard <= {"sound" if k == "audio" else "frames" for k in may}
        assert not [e for e in ann.events if e["event"] == "published" and e["kind"] in may_not]
        listed = (await hub.request("GET", "/api/v1/apps/live/streams")).data
        assert {s["participant"] for s in listed} == {"bob", *(["ann"] if may else [])}


async def test_token_when_it_may_not_subscribe_then_nothing_arrives(hub: Server) -> None:
    ann, bob = await mint(hub, identity="ann"), await mint(hub, identity="bob")
    deaf = await mint(hub, identity="deaf", canSubscribe=False)
    async with (
        rtc_peer(ann["wsUrl"], ann["token"]) as one,
        rtc_peer(deaf["wsUrl"], deaf["token"]) as two,
        rtc_peer(bob["wsUrl"], bob["token"]) as three,
    ):
        for peer in (one, two, three):
            await peer.said("joined")
        await one.do("publish", kind="video")
        await three.said("frames", who="ann", count=10)
        assert not [e for e in two.events if e["event"] == "frames"]


async def test_token_when_forged_or_of_another_server_then_refused(hub: Server) -> None:
    token = (await mint(hub, identity="ann"))["token"]
    forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    async with rtc_peer(hub.ws_url, forged) as peer:
        await peer.said("refused")
    assert token not in hub.log()
