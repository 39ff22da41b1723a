"""Encoders that are not ours publish through ``/whip``; LiveKit's SDK sees and hears them."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import quote

import pytest
import trio

from tests.e2e.whip.conftest import decoded, ingress_state, make_ingress, stream_types, viewer_of
from tests.support.offers import OBS_30, OBS_32_SIMULCAST
from tests.support.rtc import ROOT, RtcPeer, rtc_peer
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.whip import whip_peer


@pytest.mark.parametrize("video", ["vp8", "h264"])
async def test_aiortc_then_its_pictures_are_decoded_and_its_tone_is_heard(hub: Server, video: str) -> None:
    made = await make_ingress(hub, participantName="Stage")
    async with rtc_peer(*await viewer_of(hub)) as viewer:
        await viewer.said("joined")
        async with whip_peer(made["url"], made["streamKey"], video=video) as encoder:
            assert (await encoder.said("answered"))["status"] == 201
            await encoder.said("connection", state="connected")
            await decoded(viewer, "ingress-live")
            await ingress_state(hub, made["ingressId"], "publishing", 20)
            assert await stream_types(hub) == {"ingress-live": "whip"}
            await encoder.do("stop")
            assert (await encoder.said("deleted"))["status"] == 200
        await ingress_state(hub, made["ingressId"], "inactive", 10)

        async def gone() -> bool:
            return await stream_types(hub) == {}

        await eventually(gone, within_s=20)


async def test_libavs_muxer_then_its_pictures_are_decoded_and_its_tone_is_heard(hub: Server) -> None:
    made = await make_ingress(hub)
    async with rtc_peer(*await viewer_of(hub)) as viewer:
        await viewer.said("joined")
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.support.whip_av", made["url"], made["streamKey"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        encoder = RtcPeer(process)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(encoder.read)
                await encoder.said("sending")
                await decoded(viewer, "ingress-live")
                await process.stdin.aclose()
                with trio.fail_after(10):
                    assert await process.wait() == 0
                nursery.cancel_scope.cancel()
            # It says DELETE when it ends.
            await ingress_state(hub, made["ingressId"], "inactive", 10)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await process.stdout.aclose()
            await process.stdin.aclose()


@pytest.mark.parametrize(
    "offer",
    [OBS_30, OBS_32_SIMULCAST, OBS_30.replace("H264/90000", "H265/90000"), OBS_30.replace("H264/90000", "AV1/90000")],
    ids=["obs-30", "obs-32-simulcast", "h265", "av1"],
)
async def test_offer_as_obs_writes_it_then_livekit_takes_all_of_it(hub: Server, offer: str) -> None:
    if "H264" not in offer:
        offer = "\r\n".join(line for line in offer.split("\r\n") if not line.startswith("a=fmtp:96"))
    made = await make_ingress(hub)
    answer = await hub.request(
        "POST",
        f"/whip/{quote(made['streamKey'])}",
        token=None,
        raw=offer.encode(),
        headers={"Content-Type": "application/sdp"},
    )
    assert answer.status == 201, answer.body
    assert answer.body.count(b"a=recvonly") == 2
    await ingress_state(hub, made["ingressId"], "buffering", 10)
    assert (await hub.request("DELETE", answer.headers["location"], token=made["streamKey"])).status == 200


async def test_twenty_encoders_at_once_then_every_one_has_its_session(hub: Server) -> None:
    made = [await make_ingress(hub, f"room{n % 5}") for n in range(20)]
    locations: dict[str, str] = {}

    async def start(key: str) -> None:
        posted = {"Content-Type": "application/sdp"}
        answer = await hub.request("POST", "/whip", token=key, raw=OBS_30.encode(), headers=posted)
        assert answer.status == 201, answer.body
        locations[key] = answer.headers["location"]

    async with trio.open_nursery() as nursery:
        for one in made:
            nursery.start_soon(start, one["streamKey"])
    rows = (await hub.request("GET", "/api/v1/apps/live/ingress")).data
    assert [row["status"] for row in rows] == ["buffering"] * 20
    for key, location in locations.items():
        assert (await hub.request("DELETE", location, token=key)).status == 200
    rows = (await hub.request("GET", "/api/v1/apps/live/ingress")).data
    assert [row["status"] for row in rows] == ["inactive"] * 20
