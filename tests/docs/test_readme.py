"""The README, done: every command is typed and every address opened, in the order a reader would.

Only these are replaced: the port (a free one), the folder of the checkout (commands run in an empty one), and the
``wsk_…`` of the reader's key.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from PIL import Image

from tests.docs.pages import ROOT, blocks
from tests.support.server import clean_env, open_socket
from tests.support.waiting import eventually

README = ROOT / "README.md"
TEXT = README.read_text("utf-8")
URLS = set(re.findall(r"http://127\.0\.0\.1:3020[^\s>\"`)]*", TEXT))
COMMANDS = [line for block in blocks(README) if block.language == "sh" for line in block.commands]
ADDRESS = "127.0.0.1:3020"
STARTED = "Stop with Ctrl-C"


@attrs.define
class Reader:
    """Somebody with a terminal in an empty folder. ``done``: the README's commands and addresses used so far."""

    folder: Path
    port: int
    key: str = "wsk_…"
    done: set[str] = attrs.field(factory=set)

    def here(self, text: str) -> str:
        """The README's text, for this folder, port and key."""
        text = text.replace(ADDRESS, f"127.0.0.1:{self.port}").replace("wsk_…", self.key)
        return re.sub(r"(?<![\w/.])(scripts/|\.venv/)", rf"{ROOT}/\1", text)

    @property
    def env(self) -> dict[str, str]:
        return clean_env() | {"STREAMHUB_HTTP_BIND": f"127.0.0.1:{self.port}", "STREAMHUB_RTMP_BIND": "off"}

    async def types(self, command: str) -> str:
        """What the command printed; fails if the command does."""
        self.done |= {command, *(url for url in URLS if command.endswith(url))}
        with trio.fail_after(60):
            done = await trio.run_process(
                ["bash", "-c", self.here(command)], cwd=self.folder, env=self.env, capture_stdout=True, stdin=b""
            )
        return done.stdout.decode()

    @asynccontextmanager
    async def runs(self, command: str, until: str = "") -> AsyncIterator[trio.Process]:
        """Start it, wait for a line with ``until``, and at the end press Ctrl-C; it must then end with 0."""
        self.done.add(command)
        process = await trio.lowlevel.open_process(
            ["bash", "-c", f"exec {self.here(command)}" if "=" not in command.split()[0] else self.here(command)],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        try:
            printed = ""
            with trio.fail_after(120):
                while until and until not in printed:
                    data = await process.stdout.receive_some()
                    assert data, f"{command} ended: {printed}"
                    printed += data.decode()
            yield process
            process.send_signal(signal.SIGINT)
            with trio.fail_after(10):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()

    async def opens(self, url: str, size: int = 10_000_000) -> tuple[str, bytes]:
        """Content type and body (its first ``size`` bytes) of an address of the README; fails on any error status."""
        self.done.add(url)

        def fetch() -> tuple[str, bytes]:
            try:
                with urllib.request.urlopen(self.here(url), timeout=20) as answer:
                    return answer.headers["Content-Type"], answer.read(size)
            except urllib.error.HTTPError as exc:
                with exc:
                    raise AssertionError(f"{url}: {exc.code}") from None

        with trio.fail_after(30):
            return await trio.to_thread.run_sync(fetch, abandon_on_cancel=True)

    async def watches(self, room: str) -> None:
        """Open every address of the room: its page, its picture (which changes), its MJPEG."""
        await eventually(lambda: self.is_live(f"http://{ADDRESS}/live/live/{room}/frame.jpg"), 20)
        for url in sorted(u for u in URLS if re.search(rf"/live/(live-)?{room}\b", u)):
            kind, body = await self.opens(url, 300_000)
            if url.endswith("/mjpeg"):
                assert kind.startswith("multipart/x-mixed-replace")
                pictures = [part for part in body.split(b"--frame")[1:-1] if b"\xff\xd8" in part]
                assert len(set(pictures)) > 2, "the picture does not move"
            elif url.endswith("/frame.jpg"):
                assert kind == "image/jpeg"
                assert is_picture(body)
            else:
                assert kind.startswith("text/html")

    async def is_live(self, url: str) -> bool:
        try:
            await self.opens(url)
        except AssertionError:
            return False
        return True


def is_picture(data: bytes) -> bool:
    """Whether this is a whole JPEG."""
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.format == "JPEG"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def command(start: str) -> str:
    """The README's command that begins so."""
    (found,) = [line for line in COMMANDS if line.startswith(start)]
    return found


DEMO_URLS = {u for u in URLS if "/demo" in u}
DOOR_COMMANDS = [
    *(".venv/bin/streamhub serve --lan", ".venv/bin/streamhub keys create door", "STREAMHUB_CAMERA_KEY=wsk_…"),
    *("curl --fail --output", "curl --fail --header", ".venv/bin/streamhub tokens create --name admin"),
]


def test_readme_has_no_command_or_address_beyond_those_tried_here() -> None:
    assert {command(start) for start in ["scripts/run", *DOOR_COMMANDS]} == set(COMMANDS)
    assert len(DEMO_URLS) == 3
    assert all(re.search(r"/demo|/door|/live-door|/api/v1/", url) for url in URLS)


async def test_try_it_when_scripts_run_is_started_then_the_demo_camera_moves(tmp_path: Path) -> None:
    reader = Reader(tmp_path, free_port())
    async with reader.runs(command("scripts/run"), STARTED):
        await reader.watches("demo")
    assert reader.done == {"scripts/run", *DEMO_URLS}


async def test_first_camera_when_the_readme_is_followed_then_everything_works(tmp_path: Path) -> None:
    serve, create, camera, fetch, ask, recover = map(command, DOOR_COMMANDS)
    reader = Reader(tmp_path, free_port())
    async with reader.runs(serve, STARTED):
        printed = await reader.types(create)
        key = re.search(r"wsk_[\w-]+", printed)
        assert key
        reader.key = key[0]
        await sketch_connects(reader)
        async with reader.runs(camera):
            await reader.watches("door")
            await reader.types(fetch)
            assert is_picture((tmp_path / "door.jpg").read_bytes())
            (stream,) = json.loads(await reader.types(ask))["data"]
            assert (stream["room"], stream["state"]) == ("live-door", "live")
        assert re.search(r"sk_[\w-]{43}", await reader.types(recover))
        for url in (f"http://{ADDRESS}/api/v1/docs", f"http://{ADDRESS}/api/v1/openapi.json"):
            kind, body = await reader.opens(url)
            assert json.loads(body)["openapi"] if url.endswith("json") else kind.startswith("text/html")
    assert reader.done == (set(COMMANDS) | URLS) - {"scripts/run"} - DEMO_URLS


async def sketch_connects(reader: Reader) -> None:
    """The path and header of the README's sketch are accepted."""
    path = re.search(r'socket\.begin\("[^"]+", 3020, "([^"]+)"\)', TEXT)
    header = re.search(r'socket\.setAuthorization\("([^"]+)"\)', TEXT)
    assert path
    assert header
    async with open_socket(reader.port, path[1], [("Authorization", reader.here(header[1]))]) as server:
        with trio.fail_after(10):
            assert json.loads(await server.get_message())["type"] == "ready"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may make a network namespace")
async def test_try_it_when_set_up_then_the_second_start_needs_no_network(tmp_path: Path) -> None:
    """Run in a network namespace of its own, which has nothing but a loopback interface."""
    reader = Reader(tmp_path, 3020)
    command = "unshare --net bash -c 'ip link set lo up && exec scripts/run'"
    async with reader.runs(command, STARTED) as process:
        inside = ["nsenter", "--net", f"--target={process.pid}"]
        url = next(u for u in DEMO_URLS if u.endswith("frame.jpg"))
        with trio.fail_after(20):
            while True:
                got = await trio.run_process([*inside, "curl", "-sf", url], capture_stdout=True, check=False)
                if got.returncode == 0:
                    break
                await trio.sleep(0.1)
        assert is_picture(got.stdout)
