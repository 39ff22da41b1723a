"""Rooms whose publishers are LiveKit's own: by HLS, as MJPEG and pictures, with real publishers and real players."""

from __future__ import annotations

import sys

import trio

from tests.e2e.relays.conftest import decodes, has_state, make_ingress, publishing, workers
from tests.e2e.whip.conftest import stream_types
from tests.support.rtc import peer_process
from tests.support.seats import clients
from tests.support.server import Server
from tests.support.tones import tones
from tests.support.waiting import eventually

HLS = "/hls/live/yard/index.m3u8"


async def offered(server: Server) -> None:
    """Return once somebody publishes to the room."""

    async def live() -> bool:
        return await stream_types(server) != {}

    await eventually(live, within_s=60)


async def plays(server: Server) -> None:
    """By HLS, as MJPEG, and as one picture."""
    await decodes(f"{server.base_url}{HLS}")
    await decodes(f"{server.base_url}/live/live/yard/mjpeg")
    frame = await server.request("GET", "/live/live/yard/frame.jpg", token=None)
    assert (frame.status, frame.headers["x-stream-state"]) == (200, "live")


async def viewers(server: Server) -> dict[str, int]:
    """Of the room's one stream."""
    (row,) = (await server.request("GET", "/api/v1/apps/live/streams")).data
    found: dict[str, int] = row["viewers"]
    return found


async def test_whip_then_a_worker_nobody_sees_makes_hls_and_pictures_until_the_publisher_leaves(hub: Server) -> None:
    made = await make_ingress(hub, "whip")
    encoder = [sys.executable, "-m", "tests.support.whip_av", made["url"], made["streamKey"]]
    async with peer_process(encoder) as publisher:
        await publisher.said("sending")
        await offered(hub)
        assert workers(hub) == []
        await plays(hub)
        await decodes(f"{hub.base_url}{HLS}?container=ts")
        assert len(workers(hub)) == 1
        assert await stream_types(hub) == {"ingress-live": "whip"}
        assert (await viewers(hub))["webrtc"] == 0

    async def gone() -> bool:
        await trio.lowlevel.checkpoint()
        return not workers(hub)

    await eventually(gone, within_s=60)
    async with peer_process(encoder):
        await offered(hub)
        await decodes(f"{hub.base_url}{HLS}")


async def test_browser_with_vp8_then_it_is_encoded_once_for_hls(hub: Server) -> None:
    body = {"room": "yard", "identity": "ann", "canPublish": True}
    token = (await hub.request("POST", "/api/v1/apps/live/tokens", body)).data["token"]
    async with clients("chromium", hub, {"ann": token}) as seats:
        ann = seats["ann"]
        await ann.said("joined")
        for kind in ("audio", "video"):
            await ann.do("publish", kind=kind)
            await ann.said("published", kind=kind)
        await offered(hub)
        await plays(hub)
        assert len(workers(hub)) == 1


async def test_somebody_talks_back_in_an_encoders_room_then_hls_carries_both_and_the_video_is_copied(
    hub: Server,
) -> None:
    made = await make_ingress(hub)
    body = {"room": "yard", "identity": "mod", "canPublish": True}
    token = (await hub.request("POST", "/api/v1/apps/live/tokens", body)).data["token"]
    async with publishing(made["rtmp_url"]):
        await has_state(hub, made["ingressId"], "publishing")
        url = f"{hub.base_url}{HLS}"
        assert await tones(url, 440, 1000) == (True, False)
        async with clients("chromium", hub, {"mod": token}) as seats:
            mod = seats["mod"]
            await mod.said("joined")
            await mod.do("publish", kind="audio", hertz=1000)

            async def both() -> bool:
                return await tones(url, 440, 1000) == (True, True)

            await eventually(both, within_s=90)
            await decodes(url)
            assert len(workers(hub)) == 1
