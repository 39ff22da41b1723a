"""A server with a real livekit-server, and publishers in a Chromium with fake devices; viewers are our pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.pages.conftest import CHROMIUM, FLAGS, START_S, Hub, wait_until
from tests.support.livekit import livekit_binary

FAKE_DEVICES = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PUBLISH = """
async ({url, token, video, audio, screen}) => {
    const {createRoomLink} = await import('/static/rtc/room.js');
    const publish = async (me) => {
        if (me.trackPublications.size) return;
        if (audio) await me.setMicrophoneEnabled(true);
        if (video) await me.setCameraEnabled(true, {resolution: {width: 640, height: 360, frameRate: 15}});
        if (!screen) return;
        const canvas = Object.assign(document.createElement('canvas'), {width: 640, height: 800});
        const pen = canvas.getContext('2d');
        setInterval(() => {
            pen.fillStyle = `hsl(${Date.now() / 10 % 360} 80% 50%)`;
            pen.fillRect(0, 0, 640, 800);
        }, 60);
        const [track] = canvas.captureStream(15).getVideoTracks();
        await me.publishTrack(track, {source: 'screen_share', simulcast: false});
    };
    await new Promise((resolve, reject) => {
        window.link = createRoomLink({
            ask: async () => ({url, token}),
            // However busy this machine is: a test counts pixels.
            roomOptions: {publishDefaults: {degradationPreference: 'maintain-resolution'}},
            on: {
                phase: (phase) => {
                    if (phase === 'connected') publish(window.link.room.localParticipant).then(resolve, reject);
                },
                changed: () => {},
                breaking: () => {},
                refused: reject,
            },
        });
        window.link.start();
    });
}
"""


@contextmanager
def livekit_hub(folder: Path, **settings: str) -> Iterator[Hub]:
    """A server whose livekit-server is ready."""
    made = Hub(folder / "data", extra={"STREAMHUB_LIVEKIT_BINARY": livekit_binary(), **settings})
    try:
        made.start()
        wait_until(lambda: livekit_ready(made), "livekit-server is ready", START_S)
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with livekit_hub(tmp_path_factory.mktemp("rtc")) as made:
        yield made


def livekit_ready(hub: Hub) -> bool:
    checks = hub.call("GET", "/health?verbose=1")["checks"]
    return any(c["name"] == "livekit" and c["ok"] is True for c in checks)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "no chromium on this machine"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *FAKE_DEVICES])
        yield opened
        opened.close()


@attrs.define(eq=False)
class Publisher:
    """Somebody in a room with (fake) devices."""

    page: Page
    context: BrowserContext

    def leave(self) -> None:
        self.page.evaluate("window.link.stop()")
        self.context.close()


Publish = Callable[..., Publisher]


@pytest.fixture
def publish(browser: Browser, hub: Hub) -> Iterator[Publish]:
    """``publish("room", "ann", audio=True, video=True, screen=False, app="live")``: returns once it publishes."""
    contexts: list[BrowserContext] = []

    def make(
        room: str,
        identity: str,
        *,
        audio: bool = True,
        video: bool = True,
        screen: bool = False,
        app: str = "live",
        at: Hub = hub,
    ) -> Publisher:
        answer = at.call("POST", f"/apps/{app}/tokens", {"room": room, "identity": identity, "name": identity.title()})
        context = browser.new_context(bypass_csp=True)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{at.base_url}/robots.txt")  # of our origin, and no page of ours: those may not use devices
        given = {"url": answer["wsUrl"], "token": answer["token"], "audio": audio, "video": video, "screen": screen}
        page.evaluate(PUBLISH, given)
        return Publisher(page, context)

    yield make
    for context in contexts:
        context.close()
