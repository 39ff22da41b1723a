"""Pages and SDK where media comes by HLS alone: by the browser itself, and by hls.js."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import Hub, OpenPage, wait_until
from tests.support.hls_feed import SIZE
from tests.support.hls_server import ROOM

LIMIT_MS = 60_000
# As Safari, which plays HLS by itself.
NATIVE = "window.WebKitPlaybackTargetAvailabilityEvent = class {};"
PLAYS = """(selector) => {
    const video = document.querySelector(selector);
    return video && video.videoWidth && video.readyState >= 2 && !video.closest('[hidden]') ? video.currentTime : 0;
}"""
# A fingerprint of what is seen.
LOOK = """(selector) => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 32, height: 24});
    const pen = canvas.getContext('2d');
    pen.drawImage(document.querySelector(selector), 0, 0, 32, 24);
    return [...pen.getImageData(0, 0, 32, 24).data].join();
}"""
# What the date of the last picture was while it was shown.
REMEMBER_POSTER = """
window.posters = [];
new MutationObserver(() => {
    const [image, date] = ['poster', 'poster-date'].map((id) => document.getElementById(id));
    if (image && !image.hidden && !date.hidden) window.posters.push(date.textContent);
}).observe(document, {subtree: true, childList: true, attributes: true});
"""
PLAYER = """
() => {
    document.body.innerHTML = '<div id="box"></div>';
    const script = Object.assign(document.createElement('script'), {src: '/sdk/streamhub-adaptor.global.js'});
    document.head.append(script);
    return new Promise((resolve) => { script.onload = resolve; });
}
"""
PLAY = """
room => { window.player = webrtc_adaptor.play(document.querySelector('#box'), {app: 'live', room}); }
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    made = Hub(
        tmp_path_factory.mktemp("hls") / "data",
        program=[sys.executable, "-m", "tests.support.hls_server"],
    )
    made.start()
    yield made
    made.stop()
    assert not list((made.data_dir / "hls").glob("*")), "segments stay on the disk"


def expect_moving(page: Page, selector: str) -> None:
    page.wait_for_function(PLAYS, arg=selector, timeout=LIMIT_MS)
    before, at = page.evaluate(LOOK, selector), page.evaluate(PLAYS, selector)
    wait_until(lambda: page.evaluate(PLAYS, selector) > at + 3, "it goes on over several segments", LIMIT_MS / 1000)
    assert page.evaluate(LOOK, selector) != before
    size = page.evaluate(
        "(s) => { const v = document.querySelector(s); return [v.videoWidth, v.videoHeight]; }", selector
    )
    assert tuple(size) == SIZE


@pytest.mark.parametrize("scripted", [False, True], ids=["native", "hls.js"])
def test_page_when_there_is_no_webrtc_then_it_plays_by_hls_with_sound_and_says_so(
    open_page: OpenPage, scripted: bool
) -> None:
    asked: list[str] = []

    def before(page: Page) -> None:
        page.add_init_script(REMEMBER_POSTER)
        page.on("request", lambda request: asked.append(request.url))
        if not scripted:
            page.add_init_script(NATIVE)

    page = open_page(f"/play/live/{ROOM}", before=before, viewport={"width": 1000, "height": 700})
    expect_moving(page, '[data-kind="hls"] video')
    expect(page.locator("#badge-word")).to_have_text("HLS")
    expect(page.locator("#overlay")).to_be_hidden()
    expect(page.locator("#camera-tile")).to_be_hidden()
    assert page.evaluate("window.posters[0]").startswith("Last picture, "), "shown while it waited"
    expect(page.locator("#poster")).to_be_hidden()
    expect(page.locator("#poster-date")).to_be_hidden()
    expect(page.locator("#snapshot")).to_be_enabled()
    expect(page.locator("#mute")).to_be_visible()
    assert any("/sdk/hls.js" in url for url in asked) == scripted, "hls.js is fetched only where it is needed"
    assert not any("livekit-client" in url for url in asked)


def test_page_when_the_room_has_no_hls_then_none_is_asked_for(open_page: OpenPage) -> None:
    asked: list[str] = []
    page = open_page("/embed/live/empty", before=lambda p: p.on("request", lambda request: asked.append(request.url)))
    expect(page.locator("#notice-title")).to_have_text("Camera offline")
    assert not any("/hls/" in url for url in asked)


def test_sdk_when_there_is_no_webrtc_then_its_player_takes_hls(open_page: OpenPage, hub: Hub) -> None:
    page = open_page("/")
    page.evaluate(PLAYER)
    page.evaluate(PLAY, ROOM)
    page.wait_for_function("() => player.state === 'playing' && player.source === 'hls'", timeout=LIMIT_MS)
    expect_moving(page, "#box video")
    page.evaluate("player.stop()")
    assert page.evaluate("document.querySelector('#box').childElementCount") == 0
