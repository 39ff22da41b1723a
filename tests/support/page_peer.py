"""Debian's Chromium with several of our pages, and a page of somebody else's that embeds them; argv: nothing.

JSON lines in: ``{"do": "open", "page": NAME, "url": URL}``, ``{"do": "wall", "page": NAME, "urls": [URL, …]}``. Out:
``{"event": "opened" | "mark" | "tone" | "complaint", "page": NAME, …}``.
"""

from __future__ import annotations

import json
import selectors
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-sync"]
FLAGS += ["--disable-backgrounding-occluded-windows", "--autoplay-policy=no-user-gesture-required"]
STEP_MS = 40


def say(page: str, **more: Any) -> None:
    print(json.dumps({"page": page, **more}), flush=True)


class Site(ThreadingHTTPServer):
    """Somebody else's web server, with one page."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _OnePage)
        self.html = b""

    def show(self, html: str) -> str:
        """Its address."""
        self.html = html.encode()
        return f"http://127.0.0.1:{self.server_address[1]}/"


class _OnePage(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.html if self.path == "/" else b"")

    def log_message(self, *_: Any) -> None:
        pass


class Pages:
    """By name; each in a context of its own, so that it is nobody's background."""

    def __init__(self, browser: Browser, site: Site) -> None:
        self.browser, self.site, self.pages = browser, site, dict[str, Page]()

    def act(self, command: dict[str, Any]) -> None:
        getattr(self, command.pop("do"))(**command)

    def open(self, page: str, url: str) -> None:
        self._page(page).goto(url, timeout=60_000)
        say(page, event="opened")

    def wall(self, page: str, urls: list[str]) -> None:
        frames = "".join(f'<iframe src="{url}" width="320" height="240" allow="autoplay"></iframe>' for url in urls)
        self._page(page).goto(self.site.show(f"<!doctype html><title>A wall</title>{frames}"), timeout=60_000)
        say(page, event="opened")

    def _page(self, name: str) -> Page:
        context = self.browser.new_context(viewport={"width": 700, "height": 520}, locale="en-GB")
        context.expose_function("say", lambda line: say(name, **json.loads(line)))
        script = (HERE / "marks.js").read_text("utf-8") + (HERE / "page_peer.js").read_text("utf-8")
        context.add_init_script(f"(() => {{{script}}})()")
        self.pages[name] = context.new_page()
        self.pages[name].on("pageerror", lambda error: say(name, event="complaint", text=str(error)))
        return self.pages[name]


def main() -> None:
    found = shutil.which("chromium")
    assert found is not None, "no chromium on this machine"
    with Site() as site, sync_playwright() as playwright:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        pages = Pages(browser, site)
        idle = browser.new_context().new_page()
        waiting = selectors.DefaultSelector()
        waiting.register(sys.stdin.buffer, selectors.EVENT_READ)
        rest = b""
        while True:
            idle.wait_for_timeout(STEP_MS)  # lets the pages' lines out
            if not waiting.select(0):
                continue
            data = sys.stdin.buffer.raw.read(65536)  # type: ignore[attr-defined]
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pages.act(json.loads(line))
        browser.close()


main()
