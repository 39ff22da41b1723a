"""The command lines of the pages about encoders, IP cameras and HLS players, typed as they stand, on a real server."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.docs.test_platforms import block
from tests.support.rtsp import rtsp_camera
from tests.support.server import Server, clean_env, run_server
from tests.support.waiting import eventually

LIMIT_S = 60.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A fresh server, without LiveKit."""
    async with run_server(tmp_path) as running:
        yield running


@asynccontextmanager
async def typing(text: str, folder: Path, **env: str) -> AsyncIterator[trio.Process]:
    """A shell at work on it; whatever it started ends with the block."""
    process = await trio.lowlevel.open_process(
        ["bash", "-ec", text],
        cwd=folder,
        env={**clean_env(), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()


async def printed(text: str, folder: Path, **env: str) -> str:
    with trio.fail_after(LIMIT_S):
        done = await trio.run_process(
            ["bash", "-ec", text], cwd=folder, env={**clean_env(), **env}, capture_stdout=True, capture_stderr=True
        )
    return done.stdout.decode()


async def test_encoders_and_players_when_typed_as_the_pages_say_then_they_work(server: Server, tmp_path: Path) -> None:
    made = (await server.request("POST", "/api/v1/apps/live/ingress", {"inputType": "rtmp", "room": "stage"})).data
    there = made["url"].removesuffix("/live")
    key = made["streamKey"]

    async def publishes() -> bool:
        row = (await server.request("GET", f"/api/v1/apps/live/ingress/{made['ingressId']}")).data
        return bool((row["status"], row["codec"], row["width"], row["height"]) == ("publishing", "h264", 1280, 720))

    async def is_over() -> bool:
        row = (await server.request("GET", f"/api/v1/apps/live/ingress/{made['ingressId']}")).data
        return bool(row["status"] == "inactive")

    movie = "ffmpeg -v error -f lavfi -i testsrc2=size=1280x720:rate=30 -t 3 -c:v libx264 -preset ultrafast -g 30"
    await printed(f"{movie} movie.mp4", tmp_path)
    for with_text in ("-stream_loop", "gst-launch", "testsrc2"):
        text = block("encoders.md", with_text).text.replace("rtmp://127.0.0.1:1935", there)
        async with typing(text, tmp_path, KEY=key):
            await eventually(publishes, LIMIT_S)
            if with_text == "testsrc2":
                await players_work(server, tmp_path)
        await eventually(is_over, LIMIT_S)


async def players_work(server: Server, folder: Path) -> None:
    def of(with_text: str) -> str:
        return block("players.md", with_text).text.replace("http://127.0.0.1:3020", server.base_url)

    about = await printed(of("ffprobe"), folder)
    assert "codec_name=h264|width=1280|height=720" in about
    assert "codec_name=aac" in about
    await printed(of("-c copy"), folder)
    length = "ffprobe -v error -show_entries format=duration -of csv=p=0 stage.mp4"
    assert 8 < float(await printed(length, folder)) < 12


async def test_camera_when_asked_as_the_page_says_then_its_stream_is_described(tmp_path: Path) -> None:
    async with rtsp_camera(tmp_path, "h264-aac") as camera:
        text = block("ip-cameras.md", "ffprobe").text
        assert "codec_name=h264|width=" in await printed(text, tmp_path, CAMERA=camera.url())


async def test_rows_when_made_as_the_pages_say_then_they_are_there(server: Server, tmp_path: Path) -> None:
    for page in ("encoders.md", "ip-cameras.md"):
        text = block(page, "/ingress ").text.replace("http://127.0.0.1:3020", server.base_url)
        await printed(text, tmp_path, TOKEN=server.admin_token)
    rows = (await server.request("GET", "/api/v1/apps/live/ingress")).data
    assert {(row["inputType"], row["roomName"]) for row in rows} == {("rtmp", "live-stage"), ("rtsp", "live-door")}
