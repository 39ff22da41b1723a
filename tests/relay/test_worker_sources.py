"""The other sources: a camera's JPEGs, files and MJPEG over HTTP; and the ways they fail."""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

import pytest
import trio

from streamhub.wire.relay_control import AttachHls, AttachJpeg, Ended, Opened, Segment, SinkRunning, Start
from tests.support.clips import clip, jpegs
from tests.support.http_media import serve_media_files
from tests.support.relay_worker import ended, relay_worker
from tests.support.segments import play


async def test_camera_then_its_jpegs_are_passed_on_and_hls_is_encoded(tmp_path: Path) -> None:
    pictures = jpegs()
    async with relay_worker(Start(kind="jpeg"), pipe=True) as worker:
        await worker.order(
            AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0), AttachJpeg(id="j", fps=30)
        )
        await worker.feed_pictures(pictures, fps=15, count=60, speed=1.5)
        worker.end_media()
        assert (await ended(worker)).code == "eof"
        (track,) = (await worker.said(Opened)).tracks
        assert (track.codec, track.width, track.height) == ("mjpeg", 320, 240)
        assert (await worker.said(SinkRunning, id="h")).video == "encode"
        assert (await worker.said(SinkRunning, id="j")).video == "copy"
        assert {one.jpeg for one in worker.pictures} <= set(pictures)
        assert 0 <= worker.pictures[0].at_ms - 1_700_000_000_000 <= 4000
        segments = worker.all(Segment)
    assert len(segments) >= 3
    assert segments[0].at_ms == pytest.approx(1_700_000_000_000, abs=2000)
    assert [one.duration_s for one in segments[:-1]] == [pytest.approx(1.0, abs=0.15)] * (len(segments) - 1)
    played = play(tmp_path, segments)
    assert played.codecs == {"video": "h264"}
    assert played.pictures >= 30  # what comes while the codecs are opened may be too late


@pytest.mark.parametrize(
    ("kind", "audio", "rate"),
    [
        ("mp4", "aac", 48_000),
        ("mpegts", "aac", 16_000),
        ("mp3", "libmp3lame", 44_100),
        ("matroska", "pcm_s16le", 8_000),
    ],
)
async def test_file_then_it_is_played_in_its_own_time(tmp_path: Path, kind: str, audio: str, rate: int) -> None:
    video = None if kind == "mp3" else "libx264"
    data = clip(kind, video=video, audio=audio, seconds=2, audio_rate=rate)
    with serve_media_files({"/clip": data}) as server:
        began = trio.current_time()
        async with relay_worker(Start(kind="http", url=f"{server.base}/clip")) as worker:
            await worker.order(AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0))
            assert (await ended(worker)).code == "eof"
            running = await worker.said(SinkRunning)
            segments = worker.all(Segment)
        assert trio.current_time() - began > 1.5
    assert running.audio == ("copy" if audio == "aac" else "encode")
    played = play(tmp_path, segments)
    assert played.codecs == ({"audio": "aac"} if video is None else {"video": "h264", "audio": "aac"})
    assert played.pictures == (0 if video is None else 50)
    assert sum(one.duration_s for one in segments) == pytest.approx(2.0, abs=0.2)
    assert played.steps["audio"][1] < 0.07


async def test_mjpeg_over_http_then_pictures_are_passed_on_and_hls_is_encoded(tmp_path: Path) -> None:
    with serve_media_files() as server:
        async with relay_worker(Start(kind="http", url=f"{server.base}/mjpeg")) as worker:
            await worker.order(
                AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0), AttachJpeg(id="j", fps=30)
            )
            await worker.until(lambda: len(worker.all(Segment)) >= 2)
            assert {one.jpeg for one in worker.pictures} <= set(jpegs())
            played = play(tmp_path, worker.all(Segment)[:2])
    assert played.codecs == {"video": "h264"}
    assert played.pictures > 10


async def test_proxy_then_every_request_goes_there() -> None:
    with serve_media_files({"/clip": clip("mpegts", seconds=1)}) as server:
        start = Start(kind="http", url="http://camera.invalid:81/clip", proxy=server.base)
        async with relay_worker(start) as worker:
            await worker.said(Opened)
        assert ("http://camera.invalid:81/clip", "camera.invalid:81") in server.asked


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nothing", "not_found"),
        ("/private", "unauthorized"),
        ("/text", "unsupported_format"),
        ("/silent", "timeout"),
        ("/away", "forbidden_protocol"),
    ],
)
async def test_source_that_fails_then_it_says_how_and_never_the_password(path: str, code: str) -> None:
    with serve_media_files({"/text": b"hello " * 2000}) as server:
        url = server.base.replace("://", "://user:s3cret@" if path != "/private" else "://") + path
        async with relay_worker(Start(kind="http", url=url, stall_s=2.0, probe_s=1.0)) as worker:
            command = Path(f"/proc/{worker.process.pid}/cmdline").read_bytes()
            last = await ended(worker)
            said = f"{worker.events}{worker.errors.decode()}{command.decode()}"
    assert last.code == code
    assert last.error
    assert last.hint
    assert "s3cret" not in said


@pytest.mark.parametrize("kind", ["http", "rtsp"])
async def test_nothing_listens_then_connection_refused(kind) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with relay_worker(Start(kind=kind, url=f"{kind}://127.0.0.1:{free.getsockname()[1]}/x")) as worker:
            assert (await ended(worker)).code == "connection_refused"


async def test_camera_that_sends_its_clients_elsewhere_then_the_source_ends() -> None:
    """libav follows an RTSP redirection to any host: nothing that comes from there is passed on."""
    with socket.create_server(("127.0.0.2", 0)) as there:
        away = f"RTSP/1.0 302 Moved\r\nCSeq: 2\r\nLocation: rtsp://127.0.0.2:{there.getsockname()[1]}/x\r\n\r\n"

        async def camera(stream: trio.SocketStream) -> None:
            async with stream:
                async for asked in stream:
                    options = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE\r\n\r\n"
                    await stream.send_all(options if asked.startswith(b"OPTIONS") else away.encode())

        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, camera, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
            async with relay_worker(Start(kind="rtsp", url=f"rtsp://127.0.0.1:{port}/x")) as worker:
                last = await ended(worker)
            nursery.cancel_scope.cancel()
        assert last.code == "redirected"


async def test_first_order_is_not_start_then_the_worker_ends() -> None:
    async with relay_worker() as worker:
        await worker.order(AttachJpeg(id="j"))
        with trio.fail_after(30):
            assert await worker.process.wait() == 2
        assert worker.all(Ended) == []


async def test_hls_playlist_then_its_segments_are_read_and_go_through_the_proxy(tmp_path: Path) -> None:
    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nclip.ts\n#EXT-X-ENDLIST\n"
    with serve_media_files({"/live/index.m3u8": playlist, "/live/clip.ts": clip("mpegts", seconds=2)}) as server:
        url = "http://camera.invalid/live/index.m3u8"
        async with relay_worker(Start(kind="http", url=url, proxy=server.base)) as worker:
            await worker.order(AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=1.0))
            assert (await ended(worker)).code == "eof"
            assert sum(one.duration_s for one in worker.all(Segment)) == pytest.approx(2.0, abs=0.2)
        assert ("http://camera.invalid:80/live/clip.ts", "camera.invalid") in server.asked
