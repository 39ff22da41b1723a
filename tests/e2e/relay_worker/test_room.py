"""A worker takes a room of the real livekit-server in: what is published there comes out as HLS and as pictures."""

from __future__ import annotations

import sys
from pathlib import Path

from streamhub.wire.relay_control import AttachHls, AttachJpeg, Opened, Segment, SinkEnded, SinkRunning, Start
from tests.e2e.whip.conftest import make_ingress, viewer_of
from tests.support.relay_worker import RelayWorker, relay_worker
from tests.support.rtc import peer_process, rtc_peer
from tests.support.segments import play
from tests.support.server import Server


async def publisher_of(server: Server, who: str) -> tuple[str, str]:
    """Address and token of somebody who may publish."""
    body = {"room": "obs", "identity": who, "canPublish": True}
    data = (await server.request("POST", "/api/v1/apps/live/tokens", body)).data
    return data["wsUrl"], data["token"]


def of(worker: RelayWorker, sink: str) -> list[Segment]:
    """The segments of one sink."""
    return [one for one in worker.all(Segment) if one.id == sink]


async def test_whip_publisher_then_hls_is_copied_and_pictures_are_decoded(hub: Server, tmp_path: Path) -> None:
    made = await make_ingress(hub)
    url, token = await viewer_of(hub)
    async with (
        peer_process([sys.executable, "-m", "tests.support.whip_av", made["url"], made["streamKey"]]),
        relay_worker(Start(kind="room", url=url, token=token)) as worker,
    ):
        await worker.order(
            AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0), AttachJpeg(id="j", fps=5)
        )
        tracks = (await worker.said(Opened)).tracks
        assert [(t.kind, t.codec, t.width, t.height) for t in tracks] == [
            ("video", "h264", 320, 240),
            ("audio", "aac", None, None),
        ]
        running = await worker.said(SinkRunning, id="h")
        assert (running.video, running.audio) == ("copy", "copy")
        await worker.until(lambda: len(worker.all(Segment)) >= 4 and len(worker.pictures) >= 10)
        segments = worker.all(Segment)[:4]
    assert [one.first for one in segments] == [True, False, False, False]
    played = play(tmp_path, segments)
    assert played.pictures >= 90
    assert played.steps["audio"][1] < 0.03
    assert played.codecs == {"video": "h264", "audio": "aac"}
    assert token not in worker.errors.decode()


async def test_publishers_take_turns_then_pictures_follow_and_everybody_is_heard(hub: Server, tmp_path: Path) -> None:
    made = await make_ingress(hub)
    url, token = await viewer_of(hub)
    async with (
        rtc_peer(*await publisher_of(hub, "ann")) as ann,
        relay_worker(Start(kind="room", url=url, token=token)) as worker,
    ):
        await ann.said("joined")
        await ann.do("publish", kind="video")
        await worker.order(AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0))
        tracks = (await worker.said(Opened)).tracks
        assert [(t.kind, t.codec) for t in tracks] == [("video", "vp8")]
        assert (await worker.said(SinkRunning, id="h")).video == "encode"
        await worker.until(lambda: len(worker.all(Segment)) >= 2)
        async with peer_process([sys.executable, "-m", "tests.support.whip_av", made["url"], made["streamKey"]]):
            # Sound has come: HLS has to be begun anew for it.
            await worker.said(SinkEnded, id="h", code="tracks_changed")
            await worker.order(AttachHls(id="i", folder=str(tmp_path), prefix="q", segment_s=1.0))
            assert (await worker.said(SinkRunning, id="i")).video == "encode"
            await worker.until(lambda: len(of(worker, "i")) >= 2)
            await ann.do("unpublish")
            await worker.said(SinkRunning, id="i", video="copy")
            before = len(of(worker, "i"))
            await worker.until(lambda: len(of(worker, "i")) >= before + 3)
        await ann.do("publish", kind="video")
        await ann.do("publish", kind="audio")
        await worker.until(lambda: worker.all(SinkRunning)[-1].video == "encode")
        before = len(of(worker, "i"))
        await worker.until(lambda: len(of(worker, "i")) >= before + 3)
    segments = of(worker, "i")
    assert sum(one.first for one in segments) == 3
    last = [one for one in segments if one.init == segments[-1].init]
    assert play(tmp_path, last).codecs == {"video": "h264", "audio": "aac"}
