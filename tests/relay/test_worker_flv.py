"""A worker fed with FLV as an encoder pushes it: HLS segments and pictures come out."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import av
import pytest
import trio

from streamhub.wire.relay_control import (
    AttachHls,
    AttachJpeg,
    Detach,
    Ended,
    Opened,
    Segment,
    SinkEnded,
    SinkRunning,
    Start,
    Stats,
)
from tests.support.clips import clip, flv_clip
from tests.support.relay_worker import RelayWorker, ended, relay_worker
from tests.support.segments import play

FLV = Start(kind="flv")
SPEED = 4.0


async def push(worker: RelayWorker, flv: bytes, speed: float = SPEED) -> None:
    """All of it, then the end of the pipe."""
    await worker.feed_flv(flv, speed)
    worker.end_media()


def hls(folder: Path, **more: object) -> AttachHls:
    return AttachHls(id="h", folder=str(folder), prefix="p", segment_s=1.0, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("container", "b_frames"), [("fmp4", 0), ("fmp4", 2), ("ts", 2)])
async def test_segments_then_they_play_as_one(tmp_path: Path, container: str, b_frames: int) -> None:
    async with relay_worker(FLV, pipe=True) as worker:
        await worker.order(hls(tmp_path, container=container))
        await push(worker, flv_clip(seconds=4, b_frames=b_frames))
        assert await ended(worker) == Ended(code="eof")
        assert await worker.said(SinkRunning) == SinkRunning(id="h", video="copy", audio="copy")
        video, audio = (await worker.said(Opened)).tracks
        assert (video.codec, video.width, video.height, video.fps) == ("h264", 320, 240, 25)
        assert video.b_frames == bool(b_frames)
        assert (audio.codec, audio.rate, audio.channels) == ("aac", 48_000, 2)
        segments = worker.all(Segment)
        # After the end of the source, and before its own.
        assert isinstance(worker.events[-2], SinkEnded)
        assert worker.errors == b""
    assert [one.number for one in segments] == [0, 1, 2, 3]
    assert [one.first for one in segments] == [True, False, False, False]
    assert [one.duration_s for one in segments] == [pytest.approx(1.0, abs=0.05)] * 4
    assert sum(one.duration_s for one in segments) == pytest.approx(4.0, abs=0.05)
    played = play(tmp_path, segments)
    assert played.codecs == {"video": "h264", "audio": "aac"}
    assert played.pictures == 100
    assert played.steps["video"] == (pytest.approx(0.04, abs=0.002), pytest.approx(0.04, abs=0.002))
    assert played.steps["audio"] == (pytest.approx(1024 / 48_000, abs=1e-4), pytest.approx(1024 / 48_000, abs=1e-4))
    assert {p.name for p in tmp_path.iterdir()} == {s.name for s in segments} | {s.init for s in segments if s.init}
    assert [(tmp_path / one.name).stat().st_size for one in segments] == [one.bytes for one in segments]


async def test_each_fmp4_segment_alone_then_its_time_goes_on_from_the_last(tmp_path: Path) -> None:
    async with relay_worker(FLV, pipe=True) as worker:
        await worker.order(hls(tmp_path))
        await push(worker, flv_clip(seconds=3, b_frames=2))
        await ended(worker)
        segments = worker.all(Segment)
    starts = [play(tmp_path, [one]).first_pts_s for one in segments]
    for at, (one, two) in enumerate(itertools.pairwise(starts)):
        assert two - one == pytest.approx(segments[at].duration_s, abs=0.001)


async def test_h265_in_flv_then_hls_gets_it_as_it_is_and_pictures_are_decoded(tmp_path: Path) -> None:
    async with relay_worker(FLV, pipe=True) as worker:
        await worker.order(hls(tmp_path), AttachJpeg(id="j", key_only=True))
        await push(worker, clip("flv", video="libx265", audio=None, seconds=3))
        await ended(worker)
        assert await worker.said(SinkRunning, id="h") == SinkRunning(id="h", video="copy", audio="none")
        played = play(tmp_path, worker.all(Segment))
        assert worker.pictures
    assert (played.codecs, played.tag, played.pictures) == ({"video": "hevc"}, "hvc1", 75)


async def test_pictures_while_wanted_then_they_move_and_stop_when_detached() -> None:
    async with relay_worker(FLV, pipe=True) as worker, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: worker.feed_flv(flv_clip(seconds=4), loops=100))
        await worker.said(Opened)
        await worker.order(AttachJpeg(id="j", fps=10, max_height=120))
        await worker.until(lambda: len(worker.pictures) >= 5)
        await worker.order(Detach(id="j"))
        assert await worker.said(SinkEnded) == SinkEnded(id="j")
        pictures = [one.jpeg for one in worker.pictures]
        assert len(set(pictures)) == len(pictures)
        for jpeg in pictures:
            with av.open(io.BytesIO(jpeg)) as opened:
                frame = next(opened.decode(video=0))
                assert (frame.width, frame.height) == (160, 120)
        times = [one.at_ms for one in worker.pictures]
        assert times == sorted(times)
        stats = await worker.said(Stats)
        assert stats.rss > 0
        assert stats.bitrate > 10_000
        nursery.cancel_scope.cancel()


async def test_encoder_that_changes_its_picture_then_hls_goes_on_with_a_new_initialisation(tmp_path: Path) -> None:
    async with relay_worker(FLV, pipe=True) as worker:
        await worker.order(hls(tmp_path))
        await worker.feed_flv(flv_clip(seconds=2), SPEED)
        larger = clip("flv", seconds=2, size=(480, 360))
        header = 13
        await worker.feed(larger[header:])  # its times begin at 0 again
        worker.end_media()
        await ended(worker)
        sizes = [event.tracks[0].width for event in worker.all(Opened)]
        segments = worker.all(Segment)
    assert sizes == [320, 480]
    assert [one.number for one in segments] == list(range(len(segments)))
    old = [one for one in segments if one.init == segments[0].init]
    new = segments[len(old) :]
    assert [one.first for one in segments] == [n in (0, len(old)) for n in range(len(segments))]
    assert play(tmp_path, old).sizes == ((320, 240),)
    played = play(tmp_path, new)
    assert played.sizes == ((480, 360),)
    assert played.pictures == 50


async def test_long_gop_with_a_limit_then_hls_is_encoded(tmp_path: Path) -> None:
    async with relay_worker(Start(kind="flv", gop_s=1.5), pipe=True) as worker:
        await worker.order(hls(tmp_path))
        await push(worker, flv_clip(seconds=8, gop=75), 2.0)
        await ended(worker)
        plans = [event.video for event in worker.all(SinkRunning)]
        segments = worker.all(Segment)
    assert plans == ["copy", "encode"]
    assert [one.duration_s for one in segments[-3:]] == [pytest.approx(1.0, abs=0.2)] * 3


async def test_sink_that_comes_late_then_it_begins_with_the_last_key_frame_and_its_first_segment_is_short(
    tmp_path: Path,
) -> None:
    flv = flv_clip(seconds=6, gop=50)
    async with relay_worker(FLV, pipe=True) as worker, trio.open_nursery() as nursery:
        nursery.start_soon(push, worker, flv, 1.0)
        await worker.said(Opened)
        await worker.order(AttachHls(id="h", folder=str(tmp_path), prefix="p", segment_s=4.0))
        await ended(worker)
        segments = worker.all(Segment)
    # Groups of 2 s: the first alone, then two together.
    assert [round(one.duration_s) for one in segments] == [2, 4]
    assert play(tmp_path, segments).pictures == 150


async def test_folder_that_is_gone_then_the_sink_ends_and_the_source_goes_on(tmp_path: Path) -> None:
    async with relay_worker(FLV, pipe=True) as worker:
        await worker.order(hls(tmp_path / "gone"), AttachJpeg(id="j"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: worker.feed_flv(flv_clip(seconds=4), loops=100))
            over = await worker.said(SinkEnded, id="h")
            assert over.code == "write_failed"
            had = len(worker.pictures)
            await worker.until(lambda: len(worker.pictures) > had + 2)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("data", [b"", b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00", b"\x00" * 100_000])
async def test_pipe_without_media_then_it_says_so(data: bytes) -> None:
    async with relay_worker(FLV, pipe=True) as worker:
        await worker.feed(data)
        worker.end_media()
        last = await ended(worker)
    assert last.code in ("no_media", "unsupported_format")
    assert last.error


async def test_pipe_on_which_nothing_comes_then_stalled() -> None:
    async with relay_worker(Start(kind="flv", stall_s=1.0, probe_s=1.0), pipe=True) as worker:
        await worker.feed(flv_clip(seconds=2))
        last = await ended(worker)
    assert last.code == "stalled"


@pytest.mark.parametrize("how", ["input", "signal"])
async def test_end_of_the_orders_then_the_worker_is_gone(how: str, tmp_path: Path) -> None:
    async with relay_worker(FLV, pipe=True) as worker:
        await worker.order(hls(tmp_path))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: worker.feed_flv(flv_clip(seconds=4), loops=100))
            await worker.said(Segment)
            if how == "input":
                assert worker.process.stdin is not None
                await worker.process.stdin.aclose()
            else:
                worker.process.terminate()
            assert await ended(worker) == Ended()
            nursery.cancel_scope.cancel()
