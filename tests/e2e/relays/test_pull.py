"""Sources that are pulled, with real cameras and files on one end and real players on the other."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.relays.conftest import decodes, has_state, make_ingress, state_of, workers
from tests.e2e.whip.conftest import decoded, stream_types, viewer_of
from tests.support.clips import clip
from tests.support.http_media import serve_media_files
from tests.support.rtc import rtc_peer
from tests.support.rtsp import rtsp_camera
from tests.support.server import Server
from tests.support.waiting import eventually

PASSWORD = "p@ss:w#rd"


async def test_rtsp_then_every_output_plays_also_after_a_restart_and_its_loss_is_told(
    hub: Server, tmp_path: Path
) -> None:
    async with rtsp_camera(tmp_path, "h264-aac", seconds=60, login=("admin", PASSWORD)) as camera:
        made = await make_ingress(hub, "rtsp", url=camera.url(f"admin:{PASSWORD}@"))
        assert PASSWORD not in str(made)
        row = await has_state(hub, made["ingressId"], "publishing")
        assert row["codec"] == "h264"
        async with rtc_peer(*await viewer_of(hub, "yard")) as viewer:
            await decoded(viewer, "ingress-live")
        assert await stream_types(hub) == {"ingress-live": "rtsp"}
        await decodes(f"{hub.base_url}/hls/live/yard/index.m3u8")
        assert (await hub.request("GET", "/live/live/yard/frame.jpg", token=None)).status == 200
        assert await hub.stop() == 0
        await hub.start()
        await has_state(hub, made["ingressId"], "publishing")
    row = await has_state(hub, made["ingressId"], "error")
    assert row["retryAt"] is not None
    assert row["lastError"]
    assert PASSWORD not in str(row)
    assert PASSWORD not in hub.log()
    paused = await hub.request("PATCH", f"/api/v1/apps/live/ingress/{made['ingressId']}", {"enabled": False})
    assert paused.status == 200
    await eventually(lambda: not workers(hub))
    await has_state(hub, made["ingressId"], "inactive")


async def test_url_of_mjpeg_on_demand_then_it_is_opened_by_a_viewer(hub: Server) -> None:
    with serve_media_files() as site:
        made = await make_ingress(hub, "url", url=f"{site.base}/mjpeg", onDemand=True)
        await has_state(hub, made["ingressId"], "inactive")
        assert not site.asked
        assert (await hub.request("GET", "/live/live/yard/frame.jpg", token=None)).status == 200
        await decodes(f"{hub.base_url}/live/live/yard/mjpeg")
        async with rtc_peer(*await viewer_of(hub, "yard")) as viewer:
            await viewer.said("frames", who="ingress-live", count=10, within_s=60)


async def test_source_when_tested_then_its_tracks_plan_and_picture_are_told_and_nothing_is_stored(hub: Server) -> None:
    path = "/api/v1/apps/live/ingress/test"
    with serve_media_files({"/clip.mp4": clip("mp4", seconds=20, b_frames=2)}) as site:
        asked = {"inputType": "url", "room": "yard", "url": f"{site.base}/clip.mp4"}
        found = await hub.request("POST", path, asked)
        assert found.status == 200, found.body
        assert found.data["codecs"] == ["h264", "aac"]
        assert (found.data["width"], found.data["height"]) == (320, 240)
        plans = {p["output"]: (p["video"], p["audio"]) for p in found.data["plan"]}
        assert plans == {"webrtc": ("encode", "encode"), "hls": ("copy", "copy"), "mjpeg": ("encode", "none")}
        assert found.data["jpeg"].startswith("data:image/jpeg;base64,")
        missing = await hub.request("POST", path, asked | {"url": f"{site.base}/none.mp4"})
        assert missing.status == 422
        denied = await hub.request("POST", path, asked | {"url": "http://169.254.169.254/latest"})
        assert denied.status == 400
        assert "STREAMHUB_OUTBOUND_ALLOW" in denied.body.decode()
    assert (await hub.request("GET", "/api/v1/apps/live/ingress")).data == []


async def test_pull_when_its_address_is_wrong_then_the_row_says_what_and_when(hub: Server) -> None:
    with serve_media_files() as site:
        made = await make_ingress(hub, "url", url=f"{site.base}/none.mp4")
        row = await has_state(hub, made["ingressId"], "error")
        assert row["retryAt"] is not None
        assert row["lastError"] == (await state_of(hub, made["ingressId"]))["lastError"]
        changed = await hub.request(
            "PATCH", f"/api/v1/apps/live/ingress/{made['ingressId']}", {"url": f"{site.base}/mjpeg"}
        )
        assert changed.status == 200
        await has_state(hub, made["ingressId"], "publishing")
