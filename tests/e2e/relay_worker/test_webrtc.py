"""A worker publishes to the real livekit-server; LiveKit's SDK decodes its pictures and hears its tone."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from streamhub.wire.relay_control import AttachHls, AttachWhip, Detach, Opened, Segment, SinkEnded, SinkRunning, Start
from tests.e2e.whip.conftest import decoded, ingress_state, make_ingress, viewer_of
from tests.support.clips import flv_clip, jpegs
from tests.support.livekit import children
from tests.support.relay_worker import relay_worker
from tests.support.rtc import rtc_peer
from tests.support.rtsp import rtsp_camera
from tests.support.server import Server
from tests.support.waiting import eventually


@pytest.mark.parametrize(("b_frames", "way"), [(0, "copy"), (2, "encode")])
async def test_flv_then_it_is_seen_and_heard_while_hls_goes_on(
    hub: Server, tmp_path: Path, b_frames: int, way: str
) -> None:
    made = await make_ingress(hub)
    clip = flv_clip(seconds=4, b_frames=b_frames)
    async with rtc_peer(*await viewer_of(hub)) as viewer, relay_worker(Start(kind="flv"), pipe=True) as worker:
        await viewer.said("joined")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: worker.feed_flv(clip, loops=100))
            await worker.said(Opened)
            await worker.order(
                AttachWhip(id="w", url=made["url"], bearer=made["streamKey"]),
                AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0),
            )
            running = await worker.said(SinkRunning, id="w")
            assert (running.video, running.audio) == (way, "encode")
            await decoded(viewer, "ingress-live")
            await worker.order(Detach(id="w"))
            assert await worker.said(SinkEnded, id="w") == SinkEnded(id="w")
            await ingress_state(hub, made["ingressId"], "inactive", 20)
            had = len(worker.all(Segment))
            await worker.until(lambda: len(worker.all(Segment)) > had + 1)
            nursery.cancel_scope.cancel()
    assert made["streamKey"] not in worker.errors.decode()


async def test_camera_then_webrtc_and_hls_get_one_encode_and_a_lost_worker_leaves_nothing(
    hub: Server, tmp_path: Path
) -> None:
    made = await make_ingress(hub)
    async with rtc_peer(*await viewer_of(hub)) as viewer, relay_worker(Start(kind="jpeg"), pipe=True) as worker:
        await viewer.said("joined")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: worker.feed_pictures(jpegs(), fps=15, count=3000))
            await worker.order(
                AttachWhip(id="w", url=made["url"], bearer=made["streamKey"]),
                AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0),
                AttachWhip(id="bad", url=made["url"], bearer="wrong-key-s3cret"),
            )
            refused = await worker.said(SinkEnded, id="bad")
            assert refused.code == "whip_unauthorized"
            assert refused.hint
            running = await worker.said(SinkRunning, id="w")
            assert (running.video, running.audio) == ("encode", "none")
            await viewer.said("frames", who="ingress-live", count=10)
            await worker.said(Segment)
            publishers = children(worker.process.pid)
            assert len(publishers) == 1
            command = Path(f"/proc/{publishers[0]}/cmdline").read_bytes()
            worker.process.kill()
            await eventually(lambda: not Path(f"/proc/{publishers[0]}").exists(), within_s=30)
            nursery.cancel_scope.cancel()
        # It said goodbye, though its worker could not.
        await ingress_state(hub, made["ingressId"], "inactive", 20)
    for secret in (made["streamKey"], "s3cret"):
        assert secret not in f"{worker.events}{worker.errors.decode()}{command.decode()}"


async def test_rtsp_camera_with_g711_then_it_is_seen_and_heard(hub: Server, tmp_path: Path) -> None:
    made = await make_ingress(hub)
    async with rtsp_camera(tmp_path, "h264-g711", seconds=60) as camera, rtc_peer(*await viewer_of(hub)) as viewer:
        await viewer.said("joined")
        async with relay_worker(Start(kind="rtsp", url=camera.url())) as worker:
            await worker.order(AttachWhip(id="w", url=made["url"], bearer=made["streamKey"]))
            assert (await worker.said(SinkRunning)).video == "copy"
            await decoded(viewer, "ingress-live")
