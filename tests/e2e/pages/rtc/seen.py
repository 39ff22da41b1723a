"""What a person would see and hear of a room's publishers on a player page."""

from __future__ import annotations

from playwright.sync_api import Frame, Page, expect

from tests.e2e.pages.conftest import wait_until

LIMIT_MS = 60_000
LIMIT_S = LIMIT_MS / 1000

# A number that differs between two pictures of a video, 0 if there is none.
HASH = """
(who) => {
    const video = document.querySelector(`.tile[data-identity="${who}"] video`);
    if (!video || !video.videoWidth || video.readyState < 2) return 0;
    const canvas = Object.assign(document.createElement('canvas'), {width: 64, height: 48});
    const pen = canvas.getContext('2d');
    pen.drawImage(video, 0, 0, 64, 48);
    let hash = 7;
    const pixels = pen.getImageData(0, 0, 64, 48).data;
    for (const word of new Uint32Array(pixels.buffer)) hash = (Math.imul(hash, 31) + word) | 0;
    return hash || 1;
}
"""
# The loudest sample of what an audio element plays, over a while: 0 to 1.
LOUDNESS = """
async (who) => {
    const element = document.querySelector(`.tile[data-identity="${who}"] audio`);
    if (!element || !element.srcObject) return 0;
    const context = window.ears = window.ears || new AudioContext();
    const meter = context.createAnalyser();
    context.createMediaStreamSource(element.srcObject).connect(meter);
    const samples = new Float32Array(meter.fftSize);
    let loudest = 0;
    for (let n = 0; n < 60; n += 1) {
        meter.getFloatTimeDomainData(samples);
        for (const sample of samples) loudest = Math.max(loudest, Math.abs(sample));
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return loudest;
}
"""


def expect_badge(view: Page | Frame, word: str) -> None:
    """Wait until the badge says so."""
    expect(view.locator("#badge-word")).to_have_text(word, timeout=LIMIT_MS)


def expect_true(view: Page | Frame, expression: str) -> None:
    """Wait until the expression is true in the page."""
    wait_until(lambda: view.evaluate(expression) is True, expression, LIMIT_S)


def tiles(view: Page | Frame) -> list[str]:
    """Who is shown, in the order of the grid; a camera as 'camera', a screen with '/screen'."""
    return list(
        view.evaluate(
            """() => [...document.querySelectorAll('#tiles > .tile')].filter((tile) => !tile.hidden)
                .sort((a, b) => a.style.order - b.style.order)
                .map(({dataset: {identity, kind}}) => (identity || 'camera') + (kind === 'screen' ? '/screen' : ''))"""
        )
    )


def expect_tiles(view: Page | Frame, *who: str) -> None:
    """Wait until exactly these are shown, whatever their order."""
    wait_until(lambda: sorted(tiles(view)) == sorted(who), f"the tiles are {who}", LIMIT_S)


def expect_moving(view: Page | Frame, who: str, pictures: int = 3) -> None:
    """Wait until that many different pictures of them were seen."""
    seen: set[int] = set()

    def enough() -> bool:
        if found := view.evaluate(HASH, who):
            seen.add(found)
        return len(seen) >= pictures

    wait_until(enough, f"{who} moves", LIMIT_S)


def expect_audible(view: Page | Frame, who: str) -> None:
    """Wait until they are heard: the fake microphone beeps once a second."""
    wait_until(lambda: view.evaluate(LOUDNESS, who) > 0.02, f"{who} is heard", LIMIT_S)
