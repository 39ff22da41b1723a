"""A server with a real livekit-server and RTMP, that may pull from loopback; ffmpeg as the encoder."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.e2e.rooms.conftest import livekit_ready
from tests.support.livekit import children, livekit_env
from tests.support.server import Server, run_server
from tests.support.waiting import eventually

PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"]
TONE = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
VIDEO = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-b:v", "800k"]
AUDIO = ["-c:a", "aac", "-ac", "2"]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Server]:
    env = {"STREAMHUB_OUTBOUND_ALLOW": "private,127.0.0.0/8"}
    async with run_server(tmp_path, env=livekit_env() | env) as server:
        await livekit_ready(server)
        yield server
        assert "task failed" not in server.log()


async def make_ingress(server: Server, input_type: str = "rtmp", **fields: object) -> dict[str, Any]:
    answer = await server.request(
        "POST", "/api/v1/apps/live/ingress", {"inputType": input_type, "room": "yard", **fields}
    )
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.data
    return made


@asynccontextmanager
async def ffmpeg(*arguments: str) -> AsyncIterator[trio.Process]:
    """An ffmpeg; killed at the end of the block if it still runs."""
    process = await trio.lowlevel.open_process(
        ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def publishing(url: str, *, b_frames: int = 0) -> AsyncIterator[trio.Process]:
    """An encoder of moving pictures and a tone."""
    tune = ["-bf", str(b_frames)] if b_frames else ["-tune", "zerolatency"]
    async with ffmpeg("-re", *PICTURE, "-re", *TONE, *VIDEO, *tune, *AUDIO, "-f", "flv", url) as process:
        yield process


async def state_of(server: Server, ingress_id: str) -> dict[str, Any]:
    row: dict[str, Any] = (await server.request("GET", f"/api/v1/apps/live/ingress/{ingress_id}")).data
    return row


async def has_state(server: Server, ingress_id: str, wanted: str, within_s: float = 30) -> dict[str, Any]:
    """The row once its status is that."""
    row: dict[str, Any] = {}

    async def check() -> bool:
        nonlocal row
        row = await state_of(server, ingress_id)
        return bool(row["status"] == wanted)

    await eventually(check, within_s)
    return row


def workers(server: Server) -> list[int]:
    """The relay workers below the server, without what they start."""
    return [pid for pid in children(server.pid) if b"streamhub.relay\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def decodes(url: str, count: int = 25, within_s: float = 40) -> None:
    """Return once ffmpeg has decoded so many pictures and some sound from that address. Fails if it cannot."""
    words = ["-xerror", "-i", url, "-map", "0:v:0", "-frames:v", str(count), "-f", "null", "-"]
    with trio.fail_after(within_s):
        async with ffmpeg(*words) as process:
            assert await process.wait() == 0
