"""A worker pulls from GStreamer's RTSP server."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from streamhub.wire.relay_control import AttachHls, AttachJpeg, Opened, Segment, SinkRunning, Start
from tests.support.relay_worker import ended, relay_worker
from tests.support.rtsp import rtsp_camera
from tests.support.segments import play


@pytest.mark.parametrize(
    ("kind", "transport", "b_frames", "video", "audio"),
    [
        ("h264-aac", "tcp", 0, "h264", "aac"),
        ("h264-aac", "auto", 2, "h264", "aac"),
        ("h264-g711", "udp", 0, "h264", "pcm_alaw"),
        ("h265-aac16", "tcp", 0, "hevc", "aac"),
    ],
)
async def test_camera_then_hls_plays_and_pictures_are_decoded(
    tmp_path: Path, kind: str, transport, b_frames: int, video: str, audio: str
) -> None:
    async with rtsp_camera(tmp_path, kind, b_frames=b_frames) as camera:
        async with relay_worker(Start(kind="rtsp", url=camera.url(), transport=transport)) as worker:
            await worker.order(AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0), AttachJpeg(id="j"))
            await worker.until(lambda: len(worker.all(Segment)) >= 2 and len(worker.pictures) >= 3)
            tracks = worker.all(Opened)[-1].tracks
            running = await worker.said(SinkRunning, id="h")
            segments = worker.all(Segment)[:2]
    assert [t.codec for t in tracks] == [video, audio]
    assert (tracks[0].width, tracks[0].height) == (320, 240)
    assert running.video == "copy"
    played = play(tmp_path, segments)
    assert played.codecs == {"video": video, "audio": "aac"}
    assert played.pictures == pytest.approx(sum(one.duration_s for one in segments) * 25, abs=3)
    assert played.steps["video"][1] < 0.1


async def test_password_with_signs_in_it_then_digest_is_answered_and_nothing_of_it_is_said(tmp_path: Path) -> None:
    async with rtsp_camera(tmp_path, "h264", login=("admin", "p@ss#w:rd")) as camera:
        async with relay_worker(Start(kind="rtsp", url=camera.url("admin:p%40ss%23w%3Ard@"))) as worker:
            await worker.said(Opened)
            assert b"p%40ss" not in worker.errors
            assert b"p@ss" not in worker.errors
        async with relay_worker(Start(kind="rtsp", url=camera.url("admin:s3cret@"))) as worker:
            last = await ended(worker)
            assert last.code == "unauthorized"
            assert "s3cret" not in f"{worker.events}{worker.errors.decode()}"


async def test_path_that_is_not_there_then_not_found(tmp_path: Path) -> None:
    async with rtsp_camera(tmp_path, "h264") as camera:
        async with relay_worker(Start(kind="rtsp", url=camera.url().replace("main", "sub"))) as worker:
            assert (await ended(worker)).code == "not_found"


async def test_camera_that_is_killed_or_stands_still_then_the_source_ends_and_says_so(tmp_path: Path) -> None:
    async with rtsp_camera(tmp_path, "h264") as camera:
        async with relay_worker(Start(kind="rtsp", url=camera.url(), stall_s=2.0)) as worker:
            await worker.said(Opened)
            await worker.order(AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0))
            await worker.said(Segment)
            stopped = await trio.run_process(["kill", "-STOP", str(camera.process.pid)])
            assert stopped.returncode == 0
            assert (await ended(worker)).code == "stalled"
            await trio.run_process(["kill", "-CONT", str(camera.process.pid)])
        async with relay_worker(Start(kind="rtsp", url=camera.url(), stall_s=5.0)) as worker:
            await worker.said(Opened)
            camera.process.kill()
            assert (await ended(worker)).code in ("eof", "connection_lost", "stalled")
