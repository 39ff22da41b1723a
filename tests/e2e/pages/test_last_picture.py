"""The last picture, dated: on a page that comes too late, on one that has watched, and in the SDK's player."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import Hub, OpenPage
from tests.e2e.pages.looks import expect_badge, pictures
from tests.e2e.pages.test_hls import PLAY, PLAYER

DATED = re.compile(r"^Last picture, \d\d:\d\d:\d\d$")
VIEWPORTS = {"wide": {"width": 1000, "height": 700}, "phone": {"width": 390, "height": 844}}
BRIGHTNESS = """async (selector) => {
    const picture = document.querySelector(selector);
    await picture.decode();
    const canvas = Object.assign(document.createElement('canvas'), {width: 32, height: 24});
    const pen = canvas.getContext('2d');
    pen.filter = getComputedStyle(picture).filter;
    pen.drawImage(picture, 0, 0, 32, 24);
    const pixels = [...pen.getImageData(0, 0, 32, 24).data].filter((_, n) => n % 4 < 3);
    const grey = pixels.every((_, n) => n % 3 || Math.abs(pixels[n] - pixels[n + 1]) < 6);
    return [Math.max(...pixels), grey];
}"""


@pytest.fixture(scope="module")
def gone(hub: Hub) -> str:
    """A room whose camera has left."""
    with hub.camera("gone"):
        pass
    return "gone"


def expect_last_picture(page: Page) -> None:
    expect(page.locator("#poster-date")).to_have_text(DATED)
    expect(page.locator("#poster-date")).to_be_visible()


@pytest.mark.parametrize("kind", ["play", "embed"])
@pytest.mark.parametrize("viewport", VIEWPORTS)
def test_page_that_comes_after_the_camera_left_shows_its_last_picture_dated_and_grey(
    open_page: OpenPage, gone: str, kind: str, viewport: str
) -> None:
    page = open_page(f"/{kind}/live/{gone}", viewport=VIEWPORTS[viewport])
    expect_badge(page, "Offline")
    expect_last_picture(page)
    expect(page.locator("#poster")).to_be_visible()
    assert page.evaluate("[poster.naturalWidth, poster.naturalHeight]") == [640, 480]
    brightest, grey = page.evaluate(BRIGHTNESS, "#poster")
    assert 20 < brightest < 120
    assert grey
    expect(page.locator("#notice-title")).to_have_text("Camera offline")
    assert page.evaluate("document.documentElement.scrollWidth") <= VIEWPORTS[viewport]["width"]
    box, stage = (page.locator(name).bounding_box() for name in ("#poster-date", "#stage"))
    assert box is not None
    assert stage is not None
    assert stage["x"] <= box["x"] <= box["x"] + box["width"] <= stage["x"] + stage["width"]
    assert box["y"] + box["height"] <= stage["y"] + stage["height"]


def test_page_that_has_watched_dates_what_it_saw_until_the_camera_is_back(open_page: OpenPage, hub: Hub) -> None:
    with hub.camera("porch"):
        page = open_page("/play/live/porch")
        expect_badge(page, "Live")
        pictures(page, 2)
        expect(page.locator("#poster-date")).to_be_hidden()
    expect_badge(page, "Offline")
    expect_last_picture(page)
    expect(page.locator("#picture")).not_to_have_css("opacity", "1")
    with hub.camera("porch"):
        expect_badge(page, "Live")
        pictures(page, 2)
        expect(page.locator("#poster-date")).to_be_hidden()
        expect(page.locator("#poster")).to_be_hidden()
        expect(page.locator("#picture")).to_have_css("opacity", "1")


def test_page_of_a_camera_never_seen_has_none(open_page: OpenPage, hub: Hub) -> None:
    page = open_page("/play/live/nobody")
    with page.expect_response(re.compile("poster.jpg")) as asked:
        page.reload()
    assert asked.value.status == 204
    expect_badge(page, "Offline")
    expect(page.locator("#poster-date")).to_be_hidden()
    expect(page.locator("#poster")).to_be_hidden()


def test_page_for_one_participant_does_not_show_anothers(open_page: OpenPage, gone: str) -> None:
    page = open_page(f"/play/live/{gone}?participant=ann")
    expect_badge(page, "Offline")
    expect(page.locator("#poster")).to_be_hidden()
    asked = "performance.getEntriesByType('resource').filter((r) => r.name.includes('poster.jpg')).length"
    assert page.evaluate(asked) == 0


def test_sdk_shows_it_before_it_plays_and_leaves_the_poster_of_a_page_alone(open_page: OpenPage, gone: str) -> None:
    page = open_page("/")
    page.evaluate(PLAYER)
    page.evaluate(PLAY, gone)
    page.wait_for_function("() => player.state === 'offline' && player.video.poster")
    assert page.evaluate("Math.abs(Date.now() - player.lastPictureAt) < 600000")
    size = """async () => {
        const picture = Object.assign(new Image(), {src: player.video.poster});
        await picture.decode();
        return [picture.naturalWidth, picture.naturalHeight];
    }"""
    assert page.evaluate(size) == [640, 480]
    page.evaluate("player.stop()")
    assert page.evaluate("player.lastPictureAt") is None
    page.evaluate(
        """room => {
            document.querySelector('#box').innerHTML = '<video id="own" poster="/favicon.svg"></video>';
            window.player = webrtc_adaptor.play(document.querySelector('#own'), {app: 'live', room});
        }""",
        gone,
    )
    page.wait_for_function("() => player.state === 'offline'")
    assert page.evaluate("document.querySelector('#own').getAttribute('poster')") == "/favicon.svg"
