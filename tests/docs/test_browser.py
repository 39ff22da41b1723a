"""docs/platforms/browser.md: its two pages, in Chromium, against the real livekit-server and the backend in Python."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trio
from playwright.sync_api import BrowserContext, Route, expect, sync_playwright

from tests.docs.backends import backend
from tests.docs.pages import DOCS, ROOT, blocks
from tests.docs.test_backends import make_api_token
from tests.e2e.pages.conftest import CHROMIUM, FLAGS
from tests.support.rtc import rtc_peer
from tests.support.server import Server

LIVEKIT_CLIENT = ROOT / "sdk" / "node_modules" / "livekit-client" / "dist" / "livekit-client.esm.mjs"
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
MOVES = """async (video) => {
    const pen = Object.assign(document.createElement("canvas"), {width: 64, height: 48}).getContext("2d");
    const look = () => { pen.drawImage(video, 0, 0, 64, 48); return pen.getImageData(0, 0, 64, 48).data.join(); };
    const first = look();
    while (look() === first || !video.videoWidth) await new Promise((resolve) => setTimeout(resolve, 50));
    return true;
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server with the two pages as they stand in the docs, and livekit-client beside them."""
    folder = tmp_path / "site"
    folder.mkdir()
    pages = {b.text for b in blocks(DOCS / "platforms" / "browser.md") if b.text.startswith("<!doctype html>")}
    for name in ("publish", "watch"):
        (page,) = [p for p in pages if f"<title>{name.capitalize()}</title>" in p]
        (folder / f"{name}.html").write_text(page)
    assert LIVEKIT_CLIENT.is_file(), "run scripts/setup test"
    shutil.copy(LIVEKIT_CLIENT, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def chromium(backend_url: str) -> Iterator[BrowserContext]:
    """A browser with a camera, for which the backend is on the site's own origin, as behind a proxy."""

    def to_backend(route: Route) -> None:
        route.fulfill(response=route.fetch(url=f"{backend_url}/join"))

    assert CHROMIUM is not None, "no chromium on this machine"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *CAMERA])
        context = browser.new_context()
        context.set_default_timeout(40_000)
        context.route("**/join", to_backend)
        yield context
        browser.close()


async def test_pages_when_one_publishes_then_the_other_shows_it_until_it_stops(hub: Server, site: str) -> None:
    judging = (await hub.request("GET", "/api/v1/apps/live/play-token/demo", token=None)).data
    heard = threading.Event()

    def drive(backend_url: str) -> None:
        with chromium(backend_url) as context:
            publishing, watching = context.new_page(), context.new_page()
            watching.goto(f"{site}/watch.html")
            expect(watching.locator("#state")).to_have_text("watching", timeout=40_000)
            publishing.goto(f"{site}/publish.html")
            publishing.locator("#start").click()
            expect(publishing.locator("#state")).to_have_text("on air", timeout=40_000)
            assert publishing.locator("#own").evaluate(MOVES)
            assert watching.locator("#people video").evaluate(MOVES)
            watching.locator("#people audio").wait_for(state="attached")
            if watching.locator("#sound").is_visible():
                watching.locator("#sound").click()
                expect(watching.locator("#sound")).to_be_hidden()
            assert heard.wait(40)
            publishing.locator("#stop").click()
            expect(publishing.locator("#state")).to_have_text("off air")
            watching.locator("#people video").wait_for(state="detached")

    async with (
        backend("python", hub.base_url, await make_api_token(hub)) as server,
        rtc_peer(judging["wsUrl"], judging["token"]) as judge,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(partial(trio.to_thread.run_sync, drive, server.url))
        await judge.said("sound", who="ann", within_s=60)
        heard.set()


async def test_page_when_its_user_is_not_signed_in_then_it_says_so(site: str, tmp_path: Path) -> None:
    page = tmp_path / "site" / "publish.html"
    page.write_text(page.read_text().replace("session-of-ann", "session-of-eve"))

    def drive(backend_url: str) -> None:
        with chromium(backend_url) as context:
            publishing = context.new_page()
            publishing.goto(f"{site}/publish.html")
            publishing.locator("#start").click()
            expect(publishing.locator("#state")).to_have_text("Error: the backend answered 401")

    async with backend("python", "http://127.0.0.1:1", "sk_x") as server:
        await trio.to_thread.run_sync(drive, server.url)
