"""Programs people watch MJPEG with, each as it is started on a command line."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.support.server import Server

FRAMES = 10
SIZE = (320, 240)


@pytest.fixture
async def mjpeg(server: Server, nursery: Any) -> str:
    """The URL of a room with a camera of 10 fps, whose every picture has a colour of its own."""

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        async with server.camera("cam1"):
            task_status.started()
            await trio.sleep_forever()

    await nursery.start(run)
    return f"{server.base_url}/live/live/cam1/mjpeg"


async def run(*command: str | Path, code: int = 0, within_s: float = 30) -> bytes:
    """What the program wrote to its output; fails on another exit code than ``code``."""
    with trio.fail_after(within_s):
        done = await trio.run_process(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == code, (done.stdout[-500:], done.stderr[-2000:])
    return done.stdout


def colours(pictures: list[bytes]) -> int:
    """How many different pictures there are."""
    return len({hashlib.sha256(p).digest() for p in pictures})


async def test_curl_when_it_reads_mjpeg_then_gets_whole_moving_jpegs(mjpeg: str) -> None:
    timed_out = 28
    data = await run("curl", "-sSN", "--max-time", "3", mjpeg, code=timed_out)
    pictures = []
    for found in re.finditer(rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n", data):
        picture = data[found.end() : found.end() + int(found[1])]
        if len(picture) == int(found[1]):  # the last one may be cut off by curl's end
            pictures.append(picture)
    assert colours(pictures) == len(pictures)
    assert 20 <= len(pictures) <= 40
    for picture in pictures:
        with Image.open(io.BytesIO(picture)) as image:
            image.load()
            assert image.size == SIZE


async def test_curl_when_it_fetches_frame_jpg_then_gets_a_jpeg_that_changes(mjpeg: str, tmp_path: Path) -> None:
    pictures = []
    for n in range(3):
        path = tmp_path / f"{n}.jpg"
        told = await run(
            "curl", "-sS", "-o", path, "-w", "%{http_code} %{content_type}", mjpeg.replace("mjpeg", "frame.jpg")
        )
        assert told == b"200 image/jpeg"
        pictures.append(path.read_bytes())
        await trio.sleep(0.25)
    assert colours(pictures) == 3
    with Image.open(io.BytesIO(pictures[0])) as image:
        assert image.size == SIZE


@pytest.mark.parametrize("demuxer", [["-f", "mpjpeg"], []], ids=["named", "guessed"])
async def test_ffmpeg_when_it_plays_mjpeg_then_decodes_every_frame(mjpeg: str, demuxer: list[str]) -> None:
    text = await run(
        *["ffmpeg", "-nostdin", "-loglevel", "error", *demuxer, "-i", mjpeg],
        *["-frames:v", str(FRAMES), "-fps_mode", "passthrough", "-f", "framehash", "-"],
    )
    lines = [line.split(b",") for line in text.splitlines() if not line.startswith(b"#")]
    assert len(lines) == FRAMES
    assert len({line[-1] for line in lines}) == FRAMES
    assert f"{SIZE[0]}x{SIZE[1]}".encode() in text


OPENCV = """
import sys, cv2
capture, seen = cv2.VideoCapture(sys.argv[1]), []
while len(seen) < int(sys.argv[2]):
    ok, picture = capture.read()
    assert ok, "no frame"
    seen.append((picture.shape, tuple(picture[120, 160])))
print(len(seen), len(set(seen)), seen[0][0])
"""


async def test_opencv_when_it_captures_mjpeg_then_reads_moving_frames(mjpeg: str) -> None:
    text = await run("/usr/bin/python3", "-c", OPENCV, mjpeg, str(FRAMES))
    assert text.decode().strip() == f"{FRAMES} {FRAMES} ({SIZE[1]}, {SIZE[0]}, 3)"


async def test_gstreamer_when_it_demuxes_mjpeg_then_decodes_moving_frames(mjpeg: str, tmp_path: Path) -> None:
    out = tmp_path / "frames.rgb"
    pipeline = (
        f"souphttpsrc location={mjpeg} ! multipartdemux ! jpegdec ! videoconvert ! video/x-raw,format=RGB"
        f" ! identity eos-after={FRAMES + 1} ! filesink location={out}"
    )
    await run("gst-launch-1.0", "-q", *pipeline.split())
    data, size = out.read_bytes(), SIZE[0] * SIZE[1] * 3
    assert len(data) == FRAMES * size
    assert colours([data[n * size : (n + 1) * size] for n in range(FRAMES)]) == FRAMES


FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    *["--disable-component-update", "--disable-sync"],
]


def watch_img(url: str) -> list[bytes]:
    """Screenshots of a page of another origin with nothing but an <img>."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport={"width": 340, "height": 260})
        page.set_content(f'<img id="camera" src="{url}">')
        page.wait_for_function("document.getElementById('camera').naturalWidth === 320", timeout=15_000)
        pictures = []
        for _ in range(FRAMES):
            pictures.append(page.screenshot())
            page.wait_for_timeout(250)
        browser.close()
    return pictures


async def test_chromium_when_an_img_shows_mjpeg_then_the_picture_moves(mjpeg: str) -> None:
    with trio.fail_after(90):
        pictures = await trio.to_thread.run_sync(watch_img, mjpeg)
    assert colours(pictures) >= FRAMES - 2
