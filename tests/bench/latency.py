"""How old is the picture on the screen? A clock burnt into published video, read off the video of two viewers by turns.

One Chromium publishes a canvas whose upper edge codes the time; our ``/play`` page and a plain page with
livekit-client's defaults, which joins livekit-server directly, play it. A frame's age is when it is due on the screen
less the time coded in it.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.clock import MEASURE
from tests.bench.figures import percentile, save, table
from tests.e2e.pages.conftest import CHROMIUM, FLAGS, Hub
from tests.e2e.pages.rtc.conftest import livekit_hub

ROOM, WHO = "bench", "clock"
WARM_UP_MS = 4000
EMPTY = "/"  # a document of our origin that has no scripts; our policy does not count

PUBLISH = """
async ({url, token}) => {
    const livekit = await import('/static/sdk/livekit-client.js');
    const canvas = Object.assign(document.createElement('canvas'), {width: 640, height: 360});
    const pen = canvas.getContext('2d', {alpha: false});
    const draw = () => {
        const time = Math.round(performance.timeOrigin + performance.now()) % 2 ** 24;
        pen.fillStyle = `hsl(${time / 20 % 360} 60% 40%)`;
        pen.fillRect(0, 0, 640, 360);
        const bits = [1, 0, ...Array.from({length: 24}, (_, n) => (time >> n) & 1)];
        bits.push(bits.reduce((sum, bit) => sum ^ bit, 0));
        bits.forEach((bit, n) => { pen.fillStyle = bit ? '#fff' : '#000'; pen.fillRect(n * 20, 0, 20, 40); });
        requestAnimationFrame(draw);
    };
    draw();
    const room = window.room = new livekit.Room();
    await room.connect(url, token);
    await room.localParticipant.publishTrack(canvas.captureStream(30).getVideoTracks()[0], {
        source: 'camera', simulcast: false, degradationPreference: 'maintain-resolution'});
}
"""
PLAIN = """
async ({url, token}) => {
    const livekit = await import('/static/sdk/livekit-client.js');
    const room = window.room = new livekit.Room();
    room.on('trackSubscribed', (track) => {
        const video = track.attach();
        Object.assign(video.style, {width: '1240px', height: '665px', objectFit: 'contain'}); // as large as ours
        document.body.replaceChildren(video);
    });
    await room.connect(url, token);
}
"""


def token(hub: Hub, identity: str, room: str = ROOM, **more: object) -> str:
    return str(hub.call("POST", "/apps/live/tokens", {"room": room, "identity": identity, **more})["token"])


def open_ours(browser: Browser, hub: Hub, room: str = ROOM) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{hub.base_url}/play/live/{room}")
    page.locator(".tile[data-identity][data-seen]").wait_for(timeout=60_000)
    return page


def open_plain(browser: Browser, hub: Hub, room: str = ROOM) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=True)
    page.goto(hub.base_url + EMPTY)
    signal = re.findall(r'"port": (\d+)', (hub.data_dir / "livekit.yaml").read_text())[0]
    page.evaluate(PLAIN, {"url": f"ws://127.0.0.1:{signal}", "token": token(hub, "plain", room, canPublish=False)})
    page.locator("video").wait_for(timeout=60_000)
    return page


def summary(ages: list[float]) -> dict[str, float]:
    return {"frames": len(ages), "p50_ms": round(percentile(ages, 50), 1), "p95_ms": round(percentile(ages, 95), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    ages: dict[str, list[float]] = {"ours": [], "plain": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        livekit_hub(Path(folder)) as hub,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        publisher = browser.new_page(bypass_csp=True)
        publisher.goto(hub.base_url + EMPTY)
        publisher.evaluate(PUBLISH, {"url": hub.base_url.replace("http", "ws"), "token": token(hub, WHO)})
        for number in range(asked.rounds):
            pairs = [("ours", open_ours), ("plain", open_plain)]
            for name, opens in pairs if number % 2 == 0 else reversed(pairs):
                page = opens(browser, hub)
                page.wait_for_timeout(WARM_UP_MS)
                ages[name] += page.evaluate(MEASURE, asked.seconds)
                page.close()
    found = {name: summary(one) for name, one in ages.items()}
    found["difference"] = {"p50_ms": round(found["ours"]["p50_ms"] - found["plain"]["p50_ms"], 1)}
    rows = [(name, *(str(value) for value in found[name].values())) for name in ages]
    print(table([("page", "frames", "p50 ms", "p95 ms"), *rows]))
    print(f"ours − plain at p50: {found['difference']['p50_ms']:+.1f} ms")
    save(asked.json, "latency", found)


if __name__ == "__main__":
    main()
