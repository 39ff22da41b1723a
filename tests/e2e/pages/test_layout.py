"""Sizes, colours, options of embeds, and browsers with less."""

import pytest
from playwright.sync_api import expect

from tests.e2e.pages.conftest import wait_until
from tests.e2e.pages.looks import expect_badge

PHONE = {"width": 390, "height": 844}
SMALL = {"width": 320, "height": 568}


@pytest.mark.parametrize("viewport", [PHONE, SMALL], ids=["390", "320"])
@pytest.mark.parametrize("path", ["/play/live/cam1", "/", "/embed/live/cam1", "/play/nope/cam1"])
def test_phone_page_does_not_scroll_sideways(open_page, camera, complaints, path, viewport):
    complaints.expected = ("404",) if "nope" in path else ()
    page = open_page(path, viewport=viewport, is_mobile=True, has_touch=True, device_scale_factor=2)
    if "/play/live" in path:
        page.click("#share-open")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_phone_buttons_are_big_enough_to_touch(open_page, camera):
    page = open_page("/play/live/cam1", viewport=PHONE, is_mobile=True, has_touch=True)
    expect_badge(page, "Live")
    page.tap("#share-open")
    sizes = page.eval_on_selector_all(
        "button:not([hidden])",
        "all => all.filter((b) => b.offsetParent).map((b) => [b.id, b.offsetWidth, b.offsetHeight])",
    )
    assert len(sizes) >= 8
    assert [row for row in sizes if min(row[1:]) < 44] == []


@pytest.mark.parametrize("fit", ["contain", "cover", "fill"])
def test_embed_fits_the_picture_as_asked(open_page, camera, fit):
    page = open_page(f"/embed/live/cam1?fit={fit}", viewport={"width": 400, "height": 200})
    expect_badge(page, "Live")
    expect(page.locator("#picture")).to_have_css("object-fit", fit)
    assert page.locator("#picture").bounding_box() == {"x": 0, "y": 0, "width": 400, "height": 200}


def test_fit_button_of_the_play_page_toggles(open_page, camera):
    page = open_page("/play/live/cam1")
    page.click("#fit")
    expect(page.locator("#picture")).to_have_css("object-fit", "cover")
    expect(page.locator("#fit")).to_have_attribute("aria-pressed", "true")
    page.click("#fit")
    expect(page.locator("#picture")).to_have_css("object-fit", "contain")


def test_label_is_text_whatever_it_says(open_page, camera):
    page = open_page("/embed/live/cam1?label=%3Cimg%20src%3Dx%20onerror%3D%22window.bad%3D1%22%3E%26amp%3B")
    expect(page.locator("#label")).to_have_text('<img src=x onerror="window.bad=1">&amp;')
    assert page.evaluate("window.bad") is None
    assert page.locator("#label img").count() == 0


def test_embed_with_controls_shows_them_to_the_pointer_only(open_page, camera):
    page = open_page("/embed/live/cam1", viewport={"width": 400, "height": 300})
    expect_badge(page, "Live")
    expect(page.locator("#bar")).to_have_css("opacity", "0")
    page.mouse.move(200, 150)
    expect(page.locator("#bar")).to_have_css("opacity", "1")


def test_embed_controls_are_shown_to_the_keyboard(open_page, camera):
    page = open_page("/embed/live/cam1")
    expect_badge(page, "Live")
    page.keyboard.press("Tab")
    expect(page.locator("#snapshot")).to_be_focused()
    expect(page.locator("#bar")).to_have_css("opacity", "1")


def test_embed_without_controls_has_a_badge_and_nothing_to_press(open_page, camera):
    page = open_page("/embed/live/cam1?controls=0")
    expect_badge(page, "Live")
    assert page.locator("button:visible").count() == 0


def test_colours_follow_the_system(open_page, camera):
    dark = open_page("/play/live/cam1", color_scheme="dark")
    light = open_page("/play/live/cam1", color_scheme="light")
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 24)"
    assert light.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 246, 248)"


def test_nothing_moves_but_the_picture_when_less_motion_is_wanted(open_page, camera):
    page = open_page("/play/live/cam1", reduced_motion="reduce")
    expect_badge(page, "Live")
    expect(page.locator(".badge .dot")).to_have_css("animation-name", "none")


def test_page_without_scripts_shows_the_mjpeg_picture(open_page, camera):
    page = open_page("/play/live/cam1", java_script_enabled=False)
    still = page.locator("img.still")
    expect(still).to_be_visible()
    assert still.get_attribute("src") == "/live/live/live-cam1/mjpeg"
    wait_until(lambda: page.evaluate("document.querySelector('img.still').naturalWidth") == 640, "a picture comes")
    expect(page.locator("#bar")).to_be_hidden()
