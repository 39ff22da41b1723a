"""Debian's Chromium with LiveKit clients in one page, driven by JSON lines as ``rtc_peer`` is; argv: our base URL."""

from __future__ import annotations

import json
import selectors
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
SOURCE = (HERE / "marks.js").read_text("utf-8") + (HERE / "browser_peer.js").read_text("utf-8")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling"]
STEP_MS = 50


def main(base: str) -> None:
    found = shutil.which("chromium")
    assert found is not None, "no chromium on this machine"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        page = browser.new_context(bypass_csp=True).new_page()
        page.expose_function("say", lambda line: print(line, flush=True))
        page.on("pageerror", lambda error: print(error, file=sys.stderr, flush=True))
        page.goto(base)
        page.evaluate("async (source) => { await eval(`(async () => {${source}})()`) }", SOURCE)
        waiting = selectors.DefaultSelector()
        waiting.register(sys.stdin.buffer, selectors.EVENT_READ)
        rest = b""
        while True:
            page.wait_for_timeout(STEP_MS)  # lets the page's lines out
            if not waiting.select(0):
                continue
            data = sys.stdin.buffer.raw.read(65536)  # type: ignore[attr-defined]
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                page.evaluate("(command) => act(command)", json.loads(line))
        browser.close()


main(sys.argv[1])
