"""A worker publishes to the real livekit-server; LiveKit's SDK decodes its pictures and hears its tone."""

from __future__ import annotations

import pytest
import trio

from streamhub.wire.relay_control import AttachHls, AttachWhip, Detach, Opened, Segment, SinkEnded, SinkRunning, Start
from tests.e2e.whip.conftest import decoded, ingress_state, make_ingress, viewer_of
from tests.support.clips import flv_clip
from tests.support.relay_worker import relay_worker
from tests.support.rtc import rtc_peer
from tests.support.server import Server


@pytest.mark.parametrize(("b_frames", "way"), [(0, "copy"), (2, "encode")])
async def test_flv_then_it_is_seen_and_heard_while_hls_goes_on(hub: Server, tmp_path, b_frames: int, way: str) -> None:
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
