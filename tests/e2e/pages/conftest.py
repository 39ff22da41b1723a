"""A real server, its cameras, and Debian's Chromium looking at its pages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    *["--disable-component-update", "--disable-sync"],
    "--host-resolver-rules=MAP *.test 127.0.0.1",
]
PROGRAM = [sys.executable, "-m", "streamhub"]
WAIT_S = 30.0
START_S = 60.0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until(true: Callable[[], bool], what: str, limit_s: float = WAIT_S) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, f"waited {limit_s} s: {what}"
        time.sleep(0.05)


@attrs.define
class Hub:
    """A ``streamhub serve`` process that can be stopped and started again on the same port; ``extra`` are settings."""

    data_dir: Path
    port: int = attrs.field(factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    extra: dict[str, str] = attrs.field(factory=dict)
    program: list[str] = attrs.field(factory=lambda: [*PROGRAM, "serve"])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("STREAMHUB_")}
        return clean | {
            "STREAMHUB_DATA_DIR": str(self.data_dir),
            "STREAMHUB_HTTP_BIND": f"127.0.0.1:{self.port}",
            "STREAMHUB_RTMP_BIND": "off",
            "STREAMHUB_RTC_UDP_PORT": "0",
            "STREAMHUB_RTC_TCP_PORT": "0",
            **self.extra,
        }

    def start(self) -> None:
        log = (self.data_dir.parent / "server.log").open("ab")
        with log:
            self.process = subprocess.Popen(self.program, env=self.env, stdout=log, stderr=log)
        wait_until(self._answers, "the server answers", START_S)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                assert self.process.wait(10) == 0
            finally:
                self.process.kill()
                self.process.wait()
                self.process = None

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """What the REST API answers the admin: ``data``."""
        token = (self.data_dir / "admin-token").read_text().strip()
        request = urllib.request.Request(
            f"{self.base_url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        return found.get("data", found)

    @contextmanager
    def camera(self, room: str, *, app: str = "live", fps: float = 10, size: str = "640x480") -> Iterator[None]:
        """A camera that delivers to this room until the block ends."""
        key = str(self.call("POST", f"/apps/{app}/ws-ingest", {"room": room})["streamKey"])
        words = [*PROGRAM, "camera", f"127.0.0.1:{self.port}", "--app", app, "--room", room]
        words += ["--fps", str(fps), "--size", size]
        process = subprocess.Popen(
            words, env=self.env | {"STREAMHUB_CAMERA_KEY": key}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: self.delivers(app, room), f"{room} delivers")
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)

    def delivers(self, app: str, room: str) -> bool:
        """Whether a live picture comes out now."""
        return self.get(f"/live/{app}/{room}/frame.jpg") == 200

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.base_url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            exc.close()
            return exc.code

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the server ended"
        try:
            return self.get("/api/v1/health") == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    made = Hub(tmp_path_factory.mktemp("pages") / "data")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def camera(hub: Hub) -> Iterator[str]:
    """A room with a camera that delivers during all tests of the module."""
    with hub.camera("cam1"):
        yield "cam1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@attrs.define(slots=False)  # Playwright keeps an attribute of its own on the owners of handlers
class Complaints:
    """What the browser complained about: script errors and console errors. A test may expect some."""

    heard: list[str] = attrs.field(factory=list)
    expected: tuple[str, ...] = ()

    def listen(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.heard.append(f"script error: {error.error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.heard.append(f"{message.type}: {message.text}")

    def unexpected(self) -> list[str]:
        return [text for text in self.heard if not any(word in text for word in self.expected)]


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    made = Complaints()
    yield made
    assert made.unexpected() == []


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, hub: Hub, complaints: Complaints) -> Iterator[OpenPage]:
    """``open_page("/play/live/cam1", viewport=…)``: a page in a context of its own; every complaint fails the test."""
    contexts: list[BrowserContext] = []

    def make(path: str, *, before: Callable[[Page], object] | None = None, **options: object) -> Page:
        context = browser.new_context(locale="en-GB", **options)
        contexts.append(context)
        complaints.listen(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_S * 1000)
        if before is not None:
            before(page)
        page.goto(path if "://" in path else hub.base_url + path)
        return page

    yield make
    for context in contexts:
        context.close()
