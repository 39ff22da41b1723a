"""How old is the picture on the screen, by each way in and out? A clock burnt into what is published, read in Chromium.

Camera → ``/play``; WHIP, RTMP and RTSP → WebRTC, by ``/play`` and, beside it, a page of livekit-client's defaults; RTMP
with a key frame a second → HLS, with hls.js as our pages set it. A frame's age is when it is due on the screen less the
time coded in it: encoding, ways and playing are all in it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.clock import MEASURE, MEASURE_CANVAS
from tests.bench.contenders import free_port
from tests.bench.figures import load, save, table
from tests.bench.latency import EMPTY, open_ours, open_plain, summary
from tests.e2e.pages.conftest import CHROMIUM, FLAGS, Hub
from tests.e2e.pages.rtc.conftest import livekit_hub
from tests.support.rtsp import PYTHON, SCRIPT

AIMS_MS = {"camera": 150, "whip": None, "rtmp": 400, "rtsp": 400, "hls": 4000}
WARM_UP_MS = {"camera": 2000, "hls": 10_000}
# The parser waits for the next picture's first byte: 33 ms of each age, at least, are the camera's own.
CAMERA = "tcpclientsrc host=127.0.0.1 port=%s do-timestamp=true ! h264parse ! rtph264pay config-interval=1 name=pay0"
PLAY_HLS = """
async (room) => {
    const {playHls} = await import('/static/hls.js');
    const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true});
    document.body.replaceChildren(video);
    playHls(video, `/hls/live/${room}/index.m3u8`, {library: '/static/sdk/hls.js', failed: () => {}});
}
"""


@contextmanager
def program(*command: str, prints: bool = False) -> Iterator[str]:
    """A program for the time of the block; the first line it prints, if it does."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE if prints else subprocess.DEVNULL
    ) as running:
        try:
            yield running.stdout.readline().decode().strip() if running.stdout is not None else ""
        finally:
            running.kill()


def source(stack: ExitStack, hub: Hub, kind: str, room: str) -> None:
    """A clock in the room, by that way, until the stack ends."""

    def clock(kind: str, url: object, key: object = "") -> None:
        stack.enter_context(program(sys.executable, "-m", "tests.bench.clock", kind, str(url), str(key)))

    if kind == "camera":
        key = hub.call("POST", "/apps/live/ws-ingest", {"room": room})["streamKey"]
        clock("camera", f"ws://127.0.0.1:{hub.port}/ingest/ws?app=live&room={room}&key={key}")
        return
    body = {"room": room, "inputType": kind}
    if kind == "rtsp":
        port = free_port()
        clock("h264", port)
        camera = [PYTHON, str(SCRIPT), str(port), CAMERA, "0"]
        body["url"] = f"rtsp://127.0.0.1:{stack.enter_context(program(*camera, prints=True))}/main"
    made = hub.call("POST", "/apps/live/ingress", body)
    if kind == "whip":
        clock("whip", made["url"], made["streamKey"])
    elif kind == "rtmp":
        clock("rtmp", made["rtmp_url"])


def open_camera(browser: Browser, hub: Hub, room: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{hub.base_url}/play/live/{room}")
    page.locator("canvas").first.wait_for(timeout=60_000)
    return page


def open_hls(browser: Browser, hub: Hub, room: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    page.goto(hub.base_url + EMPTY)
    page.evaluate(PLAY_HLS, room)
    page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=60_000)
    return page


Open = Callable[[Browser, Hub, str], Page]
VIEWERS: dict[str, dict[str, Open]] = {
    "camera": {"/play": open_camera},
    "whip": {"/play": open_ours, "plain livekit-client": open_plain},
    "rtmp": {"/play": open_ours, "plain livekit-client": open_plain},
    "rtsp": {"/play": open_ours, "plain livekit-client": open_plain},
    "hls": {"hls.js as on our pages": open_hls},
}


def cell(browser: Browser, hub: Hub, kind: str, seconds: float) -> Iterator[dict[str, Any]]:
    """The figures of one source, by viewer."""
    room = f"glass-{kind}"
    with ExitStack() as stack:
        source(stack, hub, "rtmp" if kind == "hls" else kind, room)
        for viewer, opens in VIEWERS[kind].items():
            page = opens(browser, hub, room)
            page.wait_for_timeout(WARM_UP_MS.get(kind, 4000))
            ages = page.evaluate(MEASURE_CANVAS if kind == "camera" else MEASURE, seconds)
            page.close()
            assert ages, f"{kind} → {viewer}: no clock was seen"
            yield {"source": kind, "viewer": viewer, "aim_ms": AIMS_MS[kind], **summary(ages)}


def measure(kinds: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """A row for each source and viewer."""
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        livekit_hub(
            Path(folder), STREAMHUB_RTMP_BIND="127.0.0.1:0", STREAMHUB_OUTBOUND_ALLOW="private,127.0.0.0/8"
        ) as hub,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        for kind in kinds:
            for row in cell(browser, hub, kind, seconds):
                print(f"  {row}", file=sys.stderr, flush=True)
                rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench glass", description=__doc__)
    parser.add_argument("--cells", choices=VIEWERS, nargs="+", default=list(VIEWERS), help="sources; hls: RTMP by HLS")
    parser.add_argument("--seconds", type=float, default=15, help="how long each viewer is looked at (15)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    asked = parser.parse_args()
    before, rows = load(), measure(asked.cells, asked.seconds)
    print(f"load of the machine: {before} before, {load()} after\n")
    shown = [
        (
            row["source"],
            row["viewer"],
            *(str(row[key]) for key in ("frames", "p50_ms", "p95_ms")),
            str(row["aim_ms"] or ""),
        )
        for row in rows
    ]
    print(table([("source", "viewer", "frames", "p50 ms", "p95 ms", "aim, p50"), *shown]))
    save(asked.json, "glass", {"rows": rows})


if __name__ == "__main__":
    main()
