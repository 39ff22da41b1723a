"""With the real ffmpeg, as installed by the set-up."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
import trio
from PIL import Image

from streamhub.simulator.ffmpeg import FfmpegFrames, ffmpeg_arguments, open_ffmpeg
from streamhub.simulator.sources import SourceFailed


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of one second, in a file whose name could be taken for a protocol."""
    path = tmp_path_factory.mktemp("film") / "my:film.mp4"
    make = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=s=160x90:r=25", "-t", "1"]
    subprocess.run([*make, "-pix_fmt", "yuv420p", f"file:{path}"], check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def children():
    me = os.getpid()
    return [
        p.name
        for p in Path("/proc").iterdir()
        if p.name.isdigit()
        and (stat := _stat(p))
        and stat.rpartition(")")[2].split()[1] == str(me)
        and "(ffmpeg)" in stat
    ]


def _stat(process):
    try:
        return (process / "stat").read_text()
    except OSError:
        return ""


async def test_film_when_played_then_gives_moving_jpegs_of_the_size_beyond_its_end_and_the_child_ends(film):
    with trio.fail_after(30):
        async with open_ffmpeg(film, size=(320, 240), fps=20, quality=80) as source:
            frames = [await source.next_frame() for _ in range(30)]
            assert len(children()) == 1
    assert children() == []
    assert len(set(frames)) > 15
    for frame in frames:
        with Image.open(io.BytesIO(frame)) as image:
            image.load()
            assert image.size == (320, 240)


async def test_film_when_left_by_cancellation_then_the_child_ends(film):
    with trio.fail_after(30):
        with trio.CancelScope() as scope:
            async with open_ffmpeg(film, size=(320, 240), fps=20, quality=80) as source:
                await source.next_frame()
                scope.cancel()
                await trio.sleep_forever()
    assert children() == []


async def test_file_when_it_is_no_film_then_says_what_ffmpeg_said(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("not a film")
    with trio.fail_after(30):
        async with open_ffmpeg(path, size=(320, 240), fps=20, quality=80) as source:
            with pytest.raises(SourceFailed, match=r"ended on .*notes\.mp4: .*[Ii]nvalid"):
                await source.next_frame()


async def test_ffmpeg_when_it_is_missing_then_says_how_to_get_it(film, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SourceFailed, match="ffmpeg is not installed") as failed:
        async with open_ffmpeg(film, size=(320, 240), fps=20, quality=80):
            pass
    assert "apt install ffmpeg" in failed.value.hint


async def test_frames_when_the_reader_is_slow_then_only_the_newest_is_given(autojump_clock):
    frames = FfmpegFrames("x")
    for n in range(5):
        frames.put(b"%d" % n)
    assert await frames.next_frame() == b"4"


async def test_frames_when_none_comes_then_fails_after_its_deadline(autojump_clock):
    frames = FfmpegFrames("x")
    with pytest.raises(SourceFailed, match="no frame of x for 20 s"):
        await frames.next_frame()
    frames.put(b"1")
    assert await frames.next_frame() == b"1"
    with pytest.raises(SourceFailed, match="no frame of x for 10 s"):
        await frames.next_frame()


def test_arguments_when_the_path_is_a_device_then_it_is_opened_by_v4l2(tmp_path):
    # Any character device will do here: a webcam is not to be had on every machine.
    arguments = ffmpeg_arguments(Path("/dev/null"), size=(800, 600), fps=12.5, quality=100)
    text = " ".join(arguments)
    assert "-f v4l2 -framerate 12.5 -video_size 800x600 -i /dev/null" in text
    assert "-q:v 2 " in text
    assert "-stream_loop" not in text


@pytest.mark.parametrize(("quality", "scale"), [(100, "2"), (1, "31"), (80, "8")])
def test_arguments_when_quality_is_given_then_it_becomes_ffmpegs_scale(quality, scale):
    arguments = ffmpeg_arguments(Path("x.mp4"), size=(1, 1), fps=1, quality=quality)
    assert arguments[arguments.index("-q:v") + 1] == scale
