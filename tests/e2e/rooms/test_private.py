"""An app that becomes private on the real livekit-server: who watched because it was public has to go, and stay out."""

from __future__ import annotations

from tests.e2e.rooms.test_streams import mint, streams
from tests.support.rtc import rtc_peer
from tests.support.server import Server
from tests.support.waiting import eventually

PLAY = "/api/v1/apps/live/play-token/demo"


async def test_private_when_the_app_becomes_so_then_public_viewers_are_put_out_and_others_stay(hub: Server) -> None:
    public = (await hub.request("GET", PLAY, token=None)).data
    async with (
        rtc_peer(*await mint(hub, "ann")) as ann,
        rtc_peer(*await mint(hub, "bob", canPublish=False)) as bob,
        rtc_peer(public["wsUrl"], public["token"]) as viewer,
    ):
        for peer in (ann, bob, viewer):
            await peer.said("joined")
        await ann.do("publish", kind="video")
        await viewer.said("frames", who="ann", count=10)
        answer = await hub.request("PATCH", "/api/v1/apps/live", {"features": {"publicPlayback": False}})
        assert answer.status == 200
        assert (await viewer.said("disconnected", within_s=6))["reason"] == "PARTICIPANT_REMOVED"
        async with rtc_peer(public["wsUrl"], public["token"]) as again:  # its token is good for hours still
            # LiveKit lets it in until we hear of it: a picture or two may slip through. Put out while it joins, the SDK
            # may take that for a failed connection, and some time to say so.
            await eventually(
                lambda: bool({"disconnected", "refused"} & {e["event"] for e in again.events}), within_s=60
            )
        assert (await hub.request("GET", PLAY, token=None)).status == 401
        _, token = await mint(hub, "eve", canPublish=False)
        private = (await hub.request("GET", f"{PLAY}?token={token}", token=None)).data
        async with rtc_peer(private["wsUrl"], private["token"]) as allowed:
            await allowed.said("frames", who="ann", count=10)
        assert not [e for p in (ann, bob) for e in p.events if e["event"] == "disconnected"]


async def test_identity_when_taken_over_then_the_stream_goes_on_with_the_second(hub: Server) -> None:
    async with rtc_peer(*await mint(hub, "ann")) as first:
        await first.said("joined")
        await first.do("publish", kind="video")
        await eventually(lambda: _live(hub), within_s=15)
        async with rtc_peer(*await mint(hub, "ann")) as second:
            await second.said("joined")
            assert (await first.said("disconnected"))["reason"] == "DUPLICATE_IDENTITY"
            await second.do("publish", kind="audio")
            await second.said("published")
            await eventually(lambda: _live(hub), within_s=15)
            assert not [e for e in second.events if e["event"] == "disconnected"]


async def _live(server: Server) -> bool:
    return {i: s["state"] for i, s in (await streams(server)).items()} == {"ann": "live"}
