"""An RTSP camera for tests: a clip, played once in its own time to whoever asks."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from tests.support.clips import clip

SCRIPT = Path(__file__).with_name("rtsp_server.py")
# Debian's: it has the bindings of GStreamer, which PyPI's do not.
PYTHON = "/usr/bin/python3"
_DEMUX = "qtdemux name=d d. ! queue ! %sparse ! rtp%spay name=pay0 pt=96"
_AAC, _G711 = " d. ! queue ! aacparse ! rtpmp4gpay name=pay1", " d. ! queue ! rtppcmapay name=pay1"
_H264, _H265 = _DEMUX % ("h264", "h264"), _DEMUX % ("h265", "h265")
# Container, encoders and sample rate of the clip, and how it is sent.
KINDS = {
    "h264-aac": ("mp4", "libx264", "aac", 48_000, _H264 + _AAC),
    "h264-g711": ("mov", "libx264", "pcm_alaw", 8_000, _H264 + _G711),
    "h264": ("mp4", "libx264", None, 48_000, _H264),
    "h265-aac16": ("mp4", "libx265", "aac", 16_000, _H265 + _AAC),
}


@attrs.frozen
class Camera:
    """``host`` with its port."""

    process: trio.Process
    host: str

    def url(self, credentials: str = "") -> str:
        return f"rtsp://{credentials}{self.host}/main"


@asynccontextmanager
async def rtsp_camera(
    folder: Path,
    kind: str,
    *,
    seconds: int = 10,
    gop: int = 25,
    b_frames: int = 0,
    login: tuple[str, str] | None = None,
) -> AsyncIterator[Camera]:
    """Until the end of the block."""
    container, video, audio, rate, description = KINDS[kind]
    file = folder / f"camera.{container}"
    data = clip(container, video, audio, seconds=seconds, gop=gop, b_frames=b_frames, audio_rate=rate)
    file.write_bytes(data)
    process = await trio.lowlevel.open_process(
        [PYTHON, str(SCRIPT), str(file), f"filesrc location=%s ! {description}", "0", *(login or ())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = b""
        with trio.fail_after(60):
            while not said.endswith(b"\n"):
                data = await process.stdout.receive_some()
                assert data, "the RTSP server did not start"
                said += data
        yield Camera(process, f"127.0.0.1:{int(said)}")
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await process.stdin.aclose()
        await process.stdout.aclose()
