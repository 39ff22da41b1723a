"""Watching a real camera on a real server: it moves, goes, and comes back by itself."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import expect

from tests.e2e.pages.conftest import Hub
from tests.e2e.pages.looks import expect_badge, opacity, picture, pictures

DROPPED = "WebSocket connection to"


@pytest.mark.parametrize("path", ["/play/live/cam1", "/embed/live/cam1", "/play/live/live-cam1"])
def test_picture_of_a_live_camera_moves(open_page, camera, path):
    page = open_page(path)
    expect_badge(page, "Live")
    pictures(page, 5)
    assert opacity(page) == 1
    assert picture(page).size == (640, 480)
    expect(page.locator("#overlay")).to_be_hidden()


def test_play_page_tells_the_rate_and_since_when(open_page, camera):
    page = open_page("/play/live/cam1")
    expect(page.locator("#fps")).to_have_text(re.compile(r"^\d+(\.\d)? fps$"))
    expect(page.locator("#since")).to_have_text(re.compile(r"^since .*\d\d:\d\d"))
    page.wait_for_timeout(3000)
    assert 7 <= float(page.locator("#fps").inner_text().split()[0]) <= 13


def test_camera_that_leaves_is_shown_offline_since_and_comes_back_without_a_reload(open_page, hub: Hub):
    with hub.camera("shed"):
        page = open_page("/play/live/shed")
        page.evaluate("window.sameDocument = true")
        expect_badge(page, "Live")
        pictures(page, 2)
    expect_badge(page, "Offline")
    expect(page.locator("#notice-title")).to_have_text("Camera offline")
    expect(page.locator("#notice-since")).to_have_text(
        re.compile(r"^since \d\d:\d\d:\d\d · (just now|\d+ seconds ago)$")
    )
    expect(page.locator("#announce")).to_have_text("Camera offline")
    expect(page.locator("#snapshot")).to_be_disabled()
    page.wait_for_timeout(400)  # the dimming is a transition
    assert opacity(page) < 0.5
    with hub.camera("shed"):
        expect_badge(page, "Live")
        pictures(page, 3)
        expect(page.locator("#overlay")).to_be_hidden()
        assert page.evaluate("window.sameDocument") is True


def test_camera_never_seen_is_offline_and_says_so(open_page, hub: Hub):
    page = open_page("/play/live/attic")
    expect_badge(page, "Offline")
    expect(page.locator("#notice-hint")).to_have_text("It has not sent a picture yet.")
    expect(page.locator("#notice-since")).to_be_empty()
    expect(page.locator("#picture")).not_to_be_visible()


def test_page_survives_a_restart_of_the_server(open_page, tmp_path: Path, complaints):
    complaints.expected = (DROPPED, "ERR_CONNECTION_REFUSED")
    hub = Hub(tmp_path / "data")
    hub.start()
    try:
        with hub.camera("cam1"):
            page = open_page(f"{hub.base_url}/embed/live/cam1")
            expect_badge(page, "Live")
            pictures(page, 2)
            hub.stop()
            expect_badge(page, "Reconnecting")
            page.wait_for_timeout(400)
            assert opacity(page) < 0.5
            hub.start()
            expect_badge(page, "Live")
            pictures(page, 3)
    finally:
        hub.stop()


@pytest.mark.parametrize("press", ["button", "key"])
def test_snapshot_saves_the_cameras_own_jpeg(open_page, camera, press):
    page = open_page("/play/live/cam1")
    expect_badge(page, "Live")
    pictures(page, 2)
    with page.expect_download() as download:
        page.click("#snapshot") if press == "button" else page.keyboard.press("s")
    assert re.fullmatch(r"live-cam1-\d{8}-\d{6}\.jpg", download.value.suggested_filename)
    data = Path(download.value.path()).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (640, 480))
        assert max(ImageStat.Stat(image.convert("L")).stddev) > 10, "a picture, not one colour"


def test_full_screen_by_key_and_back(open_page, camera):
    page = open_page("/play/live/cam1")
    expect_badge(page, "Live")
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement && document.fullscreenElement.id === 'player'")
    page.keyboard.press("f")
    page.wait_for_function("() => !document.fullscreenElement")


def test_private_camera_without_a_token_says_so_and_shows_nothing(open_page, hub: Hub):
    hub.call("POST", "/apps", {"name": "backyard", "features": {"publicPlayback": False}})
    page = open_page("/play/backyard/cam1")
    expect(page.locator("#notice-title")).to_have_text("This camera is private")
    expect(page.locator("#retry")).to_be_visible()
    expect(page.locator("#picture")).not_to_be_visible()


@pytest.mark.parametrize("path", ["/play/nope/cam1", "/embed/nope/cam1", "/play/live/no%20room"])
def test_unknown_app_or_room_is_a_page_that_helps(open_page, hub: Hub, complaints, path):
    complaints.expected = ("404",)
    page = open_page(path)
    expect(page.locator("h1")).to_have_text("No such camera")
    page.click("text=How to connect a camera")
    expect(page.locator("h1")).to_have_text("StreamHub")
