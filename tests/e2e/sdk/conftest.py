"""Somebody else's site, with a backend of its own, that uses our SDK against a real server and a real livekit-server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.pages.conftest import CHROMIUM, FLAGS, Complaints, Hub, complaints, wait_until
from tests.support.livekit import livekit_env

__all__ = ["complaints"]

DEVICES = [
    *["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
    "--autoplay-policy=no-user-gesture-required",
]
PAGE = """<!doctype html><html lang="en"><title>Somebody's site</title>
<video id="local" muted autoplay playsinline></video>
<video id="remote" autoplay playsinline></video>
<div id="player" style="width: 320px; height: 240px"></div>
<script src="{hub}/sdk/streamhub-adaptor.global.js"></script>
<script src="/probe.js"></script></html>"""
PROBE = (Path(__file__).parent / "probe.js").read_text("utf-8")


@attrs.define
class SdkHub(Hub):
    """With LiveKit, and open to the pages of other origins."""

    @property
    def env(self) -> dict[str, str]:
        return super().env | livekit_env() | {"STREAMHUB_CORS_ORIGINS": "*"}

    @property
    def admin_token(self) -> str:
        return (self.data_dir / "admin-token").read_text().strip()

    def has_livekit(self) -> bool:
        return self.get("/api/v1/apps/live/play-token/x") == 200


@attrs.define
class Site:
    """A web server of another origin. ``/token?room=…&identity=…`` is its backend: it keeps the API token to itself."""

    hub: SdkHub
    minted: list[str] = attrs.field(factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def mint(self, query: str) -> dict[str, object]:
        asked = dict(parse_qsl(query))
        self.minted.append(asked["identity"])
        return self.hub.call("POST", "/apps/live/tokens", asked)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path)
                kind, body = "text/html", PAGE.format(hub=site.hub.base_url)
                if path.path == "/token":
                    kind, body = "application/json", json.dumps(site.mint(path.query))
                elif path.path == "/probe.js":
                    kind, body = "text/javascript", PROBE
                elif path.path != "/":
                    self.send_response(204)
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args: object) -> None:
                """Nothing: the tests' output is pytest's."""

        return Handler


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkHub]:
    made = SdkHub(tmp_path_factory.mktemp("sdk") / "data")
    made.start()
    wait_until(made.has_livekit, "LiveKit is ready")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(hub: SdkHub) -> Iterator[Site]:
    made = Site(hub)
    with ThreadingHTTPServer(("127.0.0.1", 0), made.handler()) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "no chromium on this machine"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *DEVICES])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser, site: Site, complaints: Complaints) -> Iterator[Callable[..., Page]]:
    """``visit()``: a page of the site in a context of its own; every complaint of the browser fails the test."""
    contexts = []

    def make(before: str = "") -> Page:
        context = browser.new_context(locale="en-GB")
        contexts.append(context)
        complaints.listen(context)
        page = context.new_page()
        page.set_default_timeout(40_000)
        if before:
            page.add_init_script(before)
        page.goto(site.url)
        return page

    yield make
    for context in contexts:
        context.close()
