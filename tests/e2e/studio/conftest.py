"""A server with a real livekit-server, moderators in a Chromium with fake devices, and other people's real clients."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from streamhub.livekit.tokens import LiveKitKeys
from tests.e2e.pages.conftest import CHROMIUM, FLAGS, Complaints, Hub, complaints, open_page, wait_until
from tests.support.livekit import livekit_env
from tests.support.rtc import ROOT

__all__ = ["complaints", "open_page"]

LIMIT_S = 60.0
KEYS = LiveKitKeys("APIstudio", "a-secret-of-the-studio-tests-0123456789")
DEVICES = ["--use-fake-device-for-media-stream=device-count=2", "--auto-select-desktop-capture-source=Entire screen"]
ALLOWED = "--use-fake-ui-for-media-stream"
# LiveKit's client says so when a connection ends.
GOODBYES = ("DataChannel error", "data channel")

LOOK = """
async (video) => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 64, height: 36});
    const pen = canvas.getContext('2d', {willReadFrequently: true});
    const look = () => (pen.drawImage(video, 0, 0, 64, 36), pen.getImageData(0, 0, 64, 36).data.join());
    const first = look();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return (video.videoWidth || video.width) > 16 && look() !== first;
}
"""
LISTEN = """
async (audio) => {
    if (audio.muted || audio.paused || audio.volume === 0 || !audio.srcObject) return 0;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(audio.srcObject).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let loudest = 0;
    for (let n = 0; n < 40; n += 1) { // Chromium's fake microphone beeps once a second
        await new Promise((resolve) => setTimeout(resolve, 30));
        analyser.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples.map(Math.abs));
    }
    await context.close();
    return loudest;
}
"""


def children(pid: int) -> list[int]:
    """Of all threads: a process belongs to the one that started it as long as that lives."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text().split())
    return found


@attrs.define
class StudioHub(Hub):
    """With LiveKit, whose keys are known."""

    @property
    def env(self) -> dict[str, str]:
        keys = {"STREAMHUB_LIVEKIT_API_KEY": KEYS.api_key, "STREAMHUB_LIVEKIT_API_SECRET": KEYS.api_secret}
        return super().env | livekit_env() | keys

    def start(self) -> None:
        super().start()
        wait_until(lambda: self.get("/api/v1/apps/live/play-token/x") == 200, "LiveKit is ready", LIMIT_S)

    def mint(self, room: str, identity: str, **more: object) -> dict[str, Any]:
        """The answer of the API: token, studioUrl, wsUrl."""
        return self.call("POST", "/apps/live/tokens", {"room": room, "identity": identity, **more})

    def livekit_process(self) -> int:
        """Its process id; 0 if there is none now."""
        assert self.process is not None
        for guard in children(self.process.pid):
            for child in children(guard):
                with suppress(OSError):
                    if "livekit-server" in Path(f"/proc/{child}/cmdline").read_text():
                        return child
        return 0

    def streams(self) -> set[object]:
        """The identities that publish."""
        listed: Any = self.call("GET", "/apps/live/streams")
        return {row["participant"] for row in listed}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioHub]:
    made = StudioHub(tmp_path_factory.mktemp("studio") / "data")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "no chromium on this machine"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *DEVICES, ALLOWED])
        yield opened
        opened.close()


@pytest.fixture
def strict_browser(browser: Browser) -> Iterator[Browser]:
    """One that allows devices to no page: nobody is there whom it could ask."""
    opened = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, *DEVICES])
    yield opened
    opened.close()


@attrs.define(eq=False)
class Client:
    """A client of tests/support in a process of its own, driven without an event loop: Playwright has the thread."""

    process: subprocess.Popen[bytes]
    events: list[dict[str, Any]] = attrs.field(factory=list)
    news: threading.Condition = attrs.field(factory=threading.Condition)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b"{"):
                with self.news:
                    self.events.append(json.loads(line))
                    self.news.notify_all()

    def do(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def said(self, event: str, **expected: Any) -> dict[str, Any]:
        """The first such event it has said since ``forget``, or says within a minute."""

        def find() -> dict[str, Any] | None:
            wanted = {"event": event, **expected}
            return next((e for e in self.events if wanted.items() <= e.items()), None)

        with self.news:
            found = self.news.wait_for(find, LIMIT_S)
        assert found, f"it never said {event} {expected}, but {self.events}"
        return found

    def forget(self) -> None:
        with self.news:
            self.events.clear()

    def decoded(self, who: str) -> None:
        """Return once it has decoded pictures of that participant and heard sound."""
        self.said("frames", who=who, count=10)
        self.said("sound", who=who)


@contextmanager
def client(module: str, **first: object) -> Iterator[Client]:
    """``tests.support.rtc_peer`` or ``tests.support.whip_peer``, killed at the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", f"tests.support.{module}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as process:
        made = Client(process)
        reader = threading.Thread(target=made.read)
        reader.start()
        try:
            made.do(**first)
            yield made
        finally:
            process.kill()
            reader.join()


@contextmanager
def encoder(hub: StudioHub, room: str) -> Iterator[Client]:
    """Somebody who publishes picture and tone by WHIP, as ``ingress-live``."""
    made: Any = hub.call("POST", "/apps/live/ingress", {"inputType": "whip", "room": room, "participantName": "Stage"})
    with client("whip_peer", url=made["url"], key=made["streamKey"], video="vp8", audio=True, wait=False) as one:
        one.said("connection", state="connected")
        yield one


@contextmanager
def guest(hub: StudioHub, room: str, identity: str, **more: object) -> Iterator[Client]:
    """Somebody with LiveKit's own SDK in the room."""
    answer = hub.mint(room, identity, **more)
    with client("rtc_peer", url=answer["wsUrl"], token=answer["token"]) as one:
        one.said("joined")
        yield one


def tile(identity: str) -> str:
    return f'.tile[data-identity="{identity}"]'


def expect_moving(page: Page, selector: str) -> None:
    """Wait until the picture there changes."""
    found = page.locator(selector)
    found.wait_for()
    wait_until(lambda: bool(found.evaluate(LOOK)), f"{selector} moves", LIMIT_S)


def expect_heard(page: Page, selector: str) -> None:
    """Wait until there is sound."""
    found = page.locator(selector)
    found.wait_for(state="attached")
    wait_until(lambda: float(found.evaluate(LISTEN)) > 0.01, f"{selector} sounds", LIMIT_S)


OpenPage = Callable[..., Page]
Enter = Callable[..., Page]


@pytest.fixture
def enter(open_page: OpenPage, complaints: Complaints) -> Enter:
    """``enter(url)``: a moderator who has joined and is live."""

    def make(url: str, **options: object) -> Page:
        complaints.expected += GOODBYES
        page = open_page(url, **options)
        page.click("#join")
        page.locator("#badge-word", has_text="Live").wait_for(timeout=LIMIT_S * 1000)
        return page

    return make
