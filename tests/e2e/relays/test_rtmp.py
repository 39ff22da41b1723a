"""RTMP in, everything out, with real clients on both ends."""

from __future__ import annotations

import os
import signal
from urllib.parse import quote

import trio

from tests.e2e.relays.conftest import decodes, has_state, make_ingress, publishing, state_of, workers
from tests.e2e.whip.conftest import decoded, stream_types, viewer_of
from tests.support.livekit import livekit_pids
from tests.support.rtc import rtc_peer
from tests.support.server import Server
from tests.support.waiting import eventually


async def test_rtmp_then_webrtc_hls_and_pictures_play_until_the_encoder_leaves(hub: Server) -> None:
    made = await make_ingress(hub)
    async with rtc_peer(*await viewer_of(hub, "yard")) as viewer:
        await viewer.said("joined")
        async with publishing(made["rtmp_url"]) as encoder:
            await decoded(viewer, "ingress-live")
            row = await has_state(hub, made["ingressId"], "publishing")
            assert (row["codec"], row["width"], row["height"]) == ("h264", 640, 360)
            assert await stream_types(hub) == {"ingress-live": "rtmp"}
            frame = await hub.request("GET", "/live/live/yard/frame.jpg", token=None)
            assert (frame.status, frame.headers["x-stream-state"]) == (200, "live")
            await decodes(f"{hub.base_url}/live/live/yard/mjpeg")
            await decodes(f"{hub.base_url}/hls/live/yard/index.m3u8")
            await decodes(f"{hub.base_url}/hls/live/yard/index.m3u8?container=ts")
            encoder.send_signal(signal.SIGTERM)
            await encoder.wait()

        async def gone() -> bool:
            return await stream_types(hub) == {} and not workers(hub)

        await eventually(gone, within_s=20)
    await has_state(hub, made["ingressId"], "inactive")


async def test_rtmp_when_its_relay_is_killed_then_it_goes_on_by_itself(hub: Server) -> None:
    made = await make_ingress(hub)
    async with publishing(made["rtmp_url"]):
        await has_state(hub, made["ingressId"], "publishing")
        (first,) = workers(hub)
        os.kill(first, signal.SIGKILL)
        async with rtc_peer(*await viewer_of(hub, "yard")) as viewer:
            await decoded(viewer, "ingress-live")
        assert first not in workers(hub)
        await decodes(f"{hub.base_url}/hls/live/yard/index.m3u8")


async def test_rtmp_when_livekit_is_killed_then_it_publishes_there_anew(hub: Server) -> None:
    made = await make_ingress(hub)
    async with publishing(made["rtmp_url"]):
        await has_state(hub, made["ingressId"], "publishing")
        async with rtc_peer(*await viewer_of(hub, "yard")) as viewer:
            await decoded(viewer, "ingress-live")
        (killed,) = livekit_pids(hub.pid)
        os.kill(killed, signal.SIGKILL)
        # It is away for less than a second: another process is the sign.
        await eventually(lambda: bool(livekit_pids(hub.pid)) and killed not in livekit_pids(hub.pid), within_s=30)
        await eventually(lambda: _play_token(hub, 200), within_s=60)
        async with rtc_peer(*await viewer_of(hub, "yard")) as viewer:
            await decoded(viewer, "ingress-live")


async def _play_token(server: Server, status: int) -> bool:
    return (await server.request("GET", "/api/v1/apps/live/play-token/yard", token=None)).status == status


async def test_rtmp_with_b_frames_then_webrtc_gets_an_encode_and_hls_the_copy(hub: Server) -> None:
    made = await make_ingress(hub)
    async with publishing(made["rtmp_url"], b_frames=2), rtc_peer(*await viewer_of(hub, "yard")) as viewer:
        await decoded(viewer, "ingress-live")
        await decodes(f"{hub.base_url}/hls/live/yard/index.m3u8")

        async def hinted() -> bool:
            return any("B-frames" in hint for hint in (await state_of(hub, made["ingressId"]))["hints"])

        await eventually(hinted)


async def test_rtmp_with_a_wrong_key_then_the_encoder_is_refused(hub: Server) -> None:
    made = await make_ingress(hub)
    url = made["rtmp_url"].replace(quote(made["streamKey"]), "wrong")
    async with publishing(url) as encoder:
        with trio.fail_after(20):
            assert await encoder.wait() != 0
    assert "wrong" not in hub.log()


async def test_rtmp_when_somebody_else_publishes_by_the_key_or_it_is_deleted_then_the_former_ends(hub: Server) -> None:
    made = await make_ingress(hub)
    async with publishing(made["rtmp_url"]) as first:
        await has_state(hub, made["ingressId"], "publishing")
        async with publishing(made["rtmp_url"]) as second:
            with trio.fail_after(20):
                await first.wait()
            await has_state(hub, made["ingressId"], "publishing")
            assert second.returncode is None
        await has_state(hub, made["ingressId"], "inactive")  # else the next one's state may be this one's
        async with publishing(made["rtmp_url"]) as third:
            await has_state(hub, made["ingressId"], "publishing")
            await eventually(lambda: _is_live(hub), within_s=20)
            ended = await hub.request("DELETE", "/api/v1/apps/live/streams/live-yard%2Fingress-live")
            assert ended.status == 204, ended.body
            with trio.fail_after(20):
                await third.wait()
        await has_state(hub, made["ingressId"], "inactive")
        async with publishing(made["rtmp_url"]) as second:
            await has_state(hub, made["ingressId"], "publishing")
            gone = await hub.request("DELETE", f"/api/v1/apps/live/ingress/{made['ingressId']}")
            assert gone.status == 200
            with trio.fail_after(20):
                await second.wait()
    assert made["streamKey"] not in hub.log()
    await eventually(lambda: not workers(hub))


async def _is_live(server: Server) -> bool:
    return await stream_types(server) == {"ingress-live": "rtmp"}
