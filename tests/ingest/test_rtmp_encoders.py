"""Real encoders against the server; what arrives is decoded whole by libav in a process of its own."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.fakes.relays import Push
from tests.simulator.certificate import make_certificate
from tests.support.rtmp_site import RtmpSite, rtmp_site
from tests.support.waiting import eventually

SUPPORT = Path(__file__).parents[1] / "support"
PATIENCE_S = 90
OBS = (
    "-f lavfi -i testsrc2=s=1920x1080:r=30:d=2.5 -f lavfi -i sine=440:r=48000:d=2.5 -ac 2 "
    "-c:v libx264 -preset veryfast -profile:v high -pix_fmt yuv420p -b:v 6M -minrate 6M -maxrate 6M -bufsize 6M "
    "-x264-params nal-hrd=cbr -bf 2 -g 60 -c:a aac -b:a 160k"
)
SMALL = (
    "-f lavfi -i testsrc2=s=320x240:r=25:d=3 -f lavfi -i sine=440:r=44100:d=3 "
    "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac"
)


@pytest.fixture(scope="module")
def obs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What OBS sends by its defaults: 1080p30 at 6 Mbit/s with B-frames, two seconds between key frames."""
    return encode(tmp_path_factory.mktemp("media") / "obs.mp4", OBS)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("media") / "small.mp4", SMALL)


@pytest.fixture
async def site() -> AsyncIterator[RtmpSite]:
    async with rtmp_site() as running:
        yield running


def encode(file: Path, options: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", *options.split(), file], check=True, timeout=PATIENCE_S)
    return file


async def run(*command: str | Path) -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(PATIENCE_S):
        return await trio.run_process(command, check=False, capture_stdout=True, stderr=subprocess.STDOUT)


async def probe(push: Push, tmp_path: Path) -> dict[str, Any]:
    """What decodes of a pushed file, once its encoder has left."""
    with trio.fail_after(PATIENCE_S):
        await push.ended.wait()
    file = trio.Path(tmp_path / "pushed.flv")
    await file.write_bytes(push.data)
    done = await run(sys.executable, SUPPORT / "flv_probe.py", file)
    assert done.returncode == 0, done.stdout.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_obs_defaults_when_sent_by_ffmpeg_in_real_time_then_every_frame_arrives(
    site: RtmpSite, obs_file: Path, tmp_path: Path
) -> None:
    done = await run(
        *("ffmpeg", "-v", "error", "-re", "-i", obs_file, "-c", "copy", "-f", "flv", f"{site.url}/stk_obs")
    )
    assert (done.returncode, done.stdout) == (0, b"")
    found = await probe(site.relays.pushes[0], tmp_path)
    assert site.authority.asked == ["stk_obs"]
    assert found["video"] | {"frames": 0} == {
        "codec": "h264",
        "width": 1920,
        "rate": None,
        "b_frames": True,
        "frames": 0,
        "backwards": 0,
    }
    assert found["video"]["frames"] == 75
    assert (found["audio"]["codec"], found["audio"]["rate"], found["audio"]["backwards"]) == ("aac", 48_000, 0)
    assert found["audio"]["frames"] >= 117


async def test_ffmpeg_when_it_pushes_over_tls_then_every_frame_arrives(small_file: Path, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with rtmp_site(context) as site:
        # The key in the query, as for encoders with a fixed stream name.
        url = site.url.replace("rtmp:", "rtmps:") + "/drone?key=stk_tls"
        done = await run("ffmpeg", "-v", "error", "-i", small_file, "-c", "copy", "-f", "flv", url)
        assert (done.returncode, done.stdout) == (0, b"")
        assert site.authority.asked == ["stk_tls"]
        found = await probe(site.relays.pushes[0], tmp_path)
        assert (found["video"]["frames"], found["audio"]["codec"]) == (75, "aac")


@pytest.mark.parametrize("sink", ["rtmp2sink", "rtmpsink"])
async def test_gstreamer_when_it_pushes_then_every_frame_arrives(
    site: RtmpSite, small_file: Path, sink: str, tmp_path: Path
) -> None:
    pipeline = (
        f"flvmux name=mux streamable=true ! {sink} location={site.url}/stk_gst filesrc location={small_file} ! "
        "qtdemux name=file file.video_0 ! queue ! h264parse ! mux. file.audio_0 ! queue ! aacparse ! mux."
    )
    done = await run("gst-launch-1.0", "-q", *pipeline.split())
    assert done.returncode == 0, done.stdout.decode()
    found = await probe(site.relays.pushes[0], tmp_path)
    assert (found["video"]["codec"], found["video"]["frames"], found["video"]["backwards"]) == ("h264", 75, 0)
    assert found["audio"]["codec"] == "aac"
    assert found["audio"]["frames"] >= 128


@pytest.mark.parametrize(
    ("video", "audio", "names"),
    [
        ("libx265", "aac", ("hevc", "aac")),
        ("libx264", "libmp3lame", ("h264", "mp3float")),
        ("libx264", "pcm_alaw", ("h264", "pcm_alaw")),
    ],
)
async def test_libav_when_it_pushes_a_codec_that_is_taken_then_every_frame_arrives(
    site: RtmpSite, tmp_path: Path, video: str, audio: str, names: tuple[str, str]
) -> None:
    done = await run(sys.executable, SUPPORT / "rtmp_av.py", f"{site.url}/stk_av", video, audio)
    assert done.returncode == 0, done.stdout.decode()
    found = await probe(site.relays.pushes[0], tmp_path)
    assert (found["video"]["codec"], found["video"]["frames"]) == (names[0], 50)
    assert found["audio"]["codec"] == names[1]
    assert found["audio"]["frames"] >= 16


async def test_libav_when_it_pushes_av1_then_it_ends_and_nothing_of_it_goes_on(
    site: RtmpSite, logged: Callable[[], str]
) -> None:
    done = await run(sys.executable, SUPPORT / "rtmp_av.py", f"{site.url}/stk_av", "libsvtav1", "aac")
    assert done.returncode != 0
    push = site.relays.pushes[0]
    with trio.fail_after(PATIENCE_S):
        await push.ended.wait()
    assert b"av01" not in push.data
    await eventually(lambda: "video in AV1 is not taken: set the encoder to H.264 or H.265" in logged(), PATIENCE_S)


async def test_ffmpeg_when_its_key_is_wrong_then_it_prints_what_is_wrong(site: RtmpSite, small_file: Path) -> None:
    done = await run("ffmpeg", "-v", "error", "-i", small_file, "-c", "copy", "-f", "flv", f"{site.url}/wrong")
    assert done.returncode != 0
    assert b"Server error: unknown stream key. Copy it from the ingress, or make a new one." in done.stdout


async def test_ffmpeg_when_its_codec_is_not_taken_then_it_prints_the_codec(site: RtmpSite) -> None:
    source = "-re -f lavfi -i testsrc2=s=160x120:r=25 -c:v flv -f flv"
    done = await run("ffmpeg", "-v", "error", *source.split(), f"{site.url}/stk_flv")
    assert done.returncode != 0
    assert b"Server error: video in Sorenson H.263 is not taken: set the encoder to H.264 or H.265" in done.stdout


async def test_ffmpeg_when_another_takes_over_then_it_ends_and_says_why(site: RtmpSite, small_file: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", small_file, "-c", "copy", "-f", "flv"]
    ends: list[subprocess.CompletedProcess[bytes]] = []

    async def push(name: str) -> None:
        ends.append(await run(*command, f"{site.url}/{name}"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(push, "stk_same?first")
        await eventually(lambda: bool(site.relays.pushes) and site.relays.pushes[0].pieces > 10, PATIENCE_S)
        nursery.start_soon(push, "stk_same?second")
        await eventually(lambda: len(site.relays.pushes) == 2 and site.relays.pushes[1].pieces > 10, PATIENCE_S)
        await eventually(lambda: len(ends) == 1, PATIENCE_S)
        assert site.server.connections == 1
        nursery.cancel_scope.cancel()
    assert b"another encoder publishes with this key" in ends[0].stdout
