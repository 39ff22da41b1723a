"""A server with a real livekit-server, publishers in a Chromium with fake devices, and viewers that are normal pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.pages.conftest import CHROMIUM, FLAGS, Hub, wait_until
from tests.support.livekit import livekit_binary

FAKE_DEVICES = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PUBLISH = """
async ({url, token, video, audio, screen}) => {
    const livekit = await import('/static/sdk/livekit-client.js');
    const room = window.room = new livekit.Room({
        // However busy this machine is: a test counts pixels.
        publishDefaults: {degradationPreference: 'maintain-resolution'},
    });
    await room.connect(url, token);
    const me = room.localParticipant;
    const resolution = {width: 640, height: 360, frameRate: 15};
    if (audio) await me.setMicrophoneEnabled(true);
    if (video) await me.setCameraEnabled(true, {resolution});
    if (screen) {
        const canvas = Object.assign(document.createElement('canvas'), {width: 640, height: 800});
        const pen = canvas.getContext('2d');
        setInterval(() => { pen.fillStyle = `hsl(${Date.now() / 10 % 360} 80% 50%)`; pen.fillRect(0, 0, 640, 800); }, 60);
        const [track] = canvas.captureStream(15).getVideoTracks();
        await me.publishTrack(track, {source: livekit.Track.Source.ScreenShare, simulcast: false});
    }
}
"""


@pytest.fixture(scope="package")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    made = Hub(tmp_path_factory.mktemp("rtc") / "data", extra={"STREAMHUB_LIVEKIT_BINARY": livekit_binary()})
    made.start()
    wait_until(lambda: livekit_ready(made), "livekit-server is ready")
    yield made
    made.stop()


def livekit_ready(hub: Hub) -> bool:
    checks = hub.call("GET", "/health?verbose=1")["checks"]
    return any(c["name"] == "livekit" and c["ok"] is True for c in checks)


@pytest.fixture(scope="package")
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
        self.page.evaluate("window.room.disconnect()")
        self.context.close()


Publish = Callable[..., Publisher]


@pytest.fixture
def publish(browser: Browser, hub: Hub) -> Iterator[Publish]:
    """``publish("room", "ann", audio=True, video=True, screen=False, app="live")``: returns once it publishes."""
    contexts: list[BrowserContext] = []

    def make(
        room: str, identity: str, *, audio: bool = True, video: bool = True, screen: bool = False, app: str = "live"
    ) -> Publisher:
        answer = hub.call("POST", f"/apps/{app}/tokens", {"room": room, "identity": identity, "name": identity.title()})
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{hub.base_url}/")
        given = {"url": answer["wsUrl"], "token": answer["token"], "audio": audio, "video": video, "screen": screen}
        page.evaluate(PUBLISH, given)
        return Publisher(page, context)

    yield make
    for context in contexts:
        context.close()
