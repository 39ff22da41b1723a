"""A worker takes a room of the real livekit-server in: what is published there comes out as HLS and as pictures."""

from __future__ import annotations

import sys
from pathlib import Path

from streamhub.wire.relay_control import AttachHls, AttachJpeg, Opened, Segment, SinkRunning, Start, Stats
from tests.e2e.whip.conftest import make_ingress, viewer_of
from tests.support.relay_worker import relay_worker
from tests.support.segments import play
from tests.support.server import Server
from tests.support.rtc import peer_process


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
        print(worker.all(Stats), worker.errors.decode())
    assert [one.first for one in segments] == [True, False, False, False]
    played = play(tmp_path, segments)
    print(played, segments)
    assert played.codecs == {"video": "h264", "audio": "aac"}
    assert token not in worker.errors.decode()
