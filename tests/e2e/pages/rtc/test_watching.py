"""Publishers of a LiveKit room on the pages: seen, heard, beside a camera, and the switch between all of them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Browser, Page, Request, expect

from tests.e2e.pages.conftest import CHROMIUM, FLAGS, Hub
from tests.e2e.pages.looks import pictures
from tests.e2e.pages.rtc.conftest import Publish
from tests.e2e.pages.rtc.seen import expect_audible, expect_badge, expect_moving, expect_tiles, expect_true, tiles

CAMERA_PLAYS = """() => [...window.link.room.remoteParticipants.values()].some((person) =>
    person.attributes['streamhub.type'] === 'ws-mjpeg' && person.identity.startsWith('wscam-') &&
    [...person.videoTrackPublications.values()].some((one) => Boolean(one.track)))"""


def test_three_publishers_and_a_screen_are_all_seen_and_heard_and_one_alone_when_asked(open_page, publish: Publish):
    page = open_page("/play/live/stage")
    page.evaluate("window.sameDocument = true")
    expect_badge(page, "Offline")
    ann = publish("stage", "ann")
    expect_badge(page, "Live")
    expect(page.locator("#overlay")).to_be_hidden()
    expect_tiles(page, "ann")
    expect_moving(page, "ann")
    expect_audible(page, "ann")

    publish("stage", "bob", video=False)
    publish("stage", "eve", screen=True)
    alone = open_page("/embed/live/stage?participant=eve&controls=0")
    expect_tiles(page, "eve/screen", "ann", "bob", "eve")
    assert tiles(page)[0] == "eve/screen"
    expect_moving(page, "eve")
    expect_audible(page, "bob")
    names = page.locator("figure.tile:not([hidden]) .tile-name:visible")
    assert sorted(names.all_inner_texts()) == ["Ann", "Bob", "Eve", "Eve – screen"]
    expect(page.locator('[data-identity="bob"] .tile-face')).to_be_visible()
    expect(page.locator('[data-kind="screen"] video')).to_have_css("object-fit", "contain")
    boxes = [box for tile in page.locator("figure.tile:not([hidden])").all() if (box := tile.bounding_box())]
    assert len({(box["x"], box["y"]) for box in boxes}) == 4
    assert len({(round(box["width"]), round(box["height"])) for box in boxes}) == 1

    expect_badge(alone, "Live")
    expect_tiles(alone, "eve", "eve/screen")
    expect_moving(alone, "eve")

    ann.leave()
    expect_tiles(page, "eve/screen", "bob", "eve")
    expect_badge(page, "Live")
    assert page.evaluate("window.sameDocument") is True


def test_camera_and_publisher_share_the_grid_and_the_page_follows_whoever_is_there(
    open_page, hub: Hub, publish: Publish
):
    with hub.camera("yard"):
        page = open_page("/play/live/yard")
        page.evaluate("window.sameDocument = true")
        expect_badge(page, "Live")
        pictures(page, 2)
        ann = publish("yard", "ann")
        expect_tiles(page, "camera", "ann")
        expect_moving(page, "ann")
        expect_true(ann.page, CAMERA_PLAYS)  # in LiveKit, for those who know nothing else
        expect_tiles(page, "camera", "ann")
        pictures(page, 2)
        with page.expect_download() as download:
            page.click("#snapshot")
        with Image.open(io.BytesIO(Path(download.value.path()).read_bytes())) as image:
            width, height = image.size
            halves = [image.crop((0, 0, width // 2, height)), image.crop((width // 2, 0, width, height))]
            if width < height:
                halves = [image.crop((0, 0, width, height // 2)), image.crop((0, height // 2, width, height))]
            assert all(max(ImageStat.Stat(half.convert("L")).stddev) > 10 for half in halves), "both are on it"
    expect_tiles(page, "ann")
    expect_badge(page, "Live")
    expect_moving(page, "ann")
    told = hub.call("GET", "/apps/live/streams")
    assert {(row["participant"], row["state"]) for row in told if row["room"] == "live-yard"} == {("ann", "live")}
    ann.leave()
    expect_badge(page, "Offline")
    expect(page.locator("#notice-title")).to_have_text("Nobody is live")
    with hub.camera("yard"):
        expect_badge(page, "Live")
        expect_tiles(page, "camera")
        pictures(page, 2)
    assert page.evaluate("window.sameDocument") is True


def test_page_of_an_insecure_origin_watches_all_the_same(open_page, hub: Hub, publish: Publish):
    publish("lan", "ann")
    page = open_page(f"http://hub.test:{hub.port}/play/live/lan")
    assert page.evaluate("window.isSecureContext") is False
    expect_badge(page, "Live")
    expect_moving(page, "ann")


def test_private_room_is_watched_with_a_token_and_refused_without(open_page, hub: Hub, publish: Publish):
    hub.call("POST", "/apps", {"name": "office", "features": {"publicPlayback": False}})
    token = hub.call("POST", "/apps/office/tokens", {"room": "desk", "canPublish": False})["token"]
    publish("desk", "ann", app="office")
    page = open_page(f"/play/office/desk?token={token}")
    expect_badge(page, "Live")
    expect_moving(page, "ann")
    stranger = open_page("/play/office/desk")
    expect_badge(stranger, "Private")
    assert tiles(stranger) == ["camera"]
    expect(stranger.locator("#picture")).not_to_be_visible()


def test_page_of_a_camera_never_fetches_livekits_client(open_page, hub: Hub):
    asked: list[str] = []

    def listen(page: Page) -> None:
        page.on("request", lambda request: asked.append(_path(request)))

    with hub.camera("quiet"):
        page = open_page("/embed/live/quiet", before=listen)
        expect_badge(page, "Live")
        pictures(page, 5)
    assert any(path.endswith("/rtc/viewing.js") for path in asked)
    assert [path for path in asked if "sdk" in path or "play-token" in path] == []


def _path(request: Request) -> str:
    return request.url.partition("?")[0]


@pytest.mark.parametrize("muted", [True, False], ids=["muted", "sound"])
def test_controls_of_a_room_with_sound(open_page, publish: Publish, muted: bool):
    publish("hall", "ann")
    page = open_page(f"/embed/live/hall?muted={int(muted)}", viewport={"width": 700, "height": 400})
    expect_badge(page, "Live")
    expect_moving(page, "ann", pictures=2)
    expect(page.locator("#mute")).to_have_attribute("aria-pressed", str(muted).lower())
    audio = "document.querySelector('.tile audio')"
    assert page.evaluate(f"{audio}.muted") is muted
    page.keyboard.press("m")
    expect_true(page, f"{audio}.muted === {str(not muted).lower()}")
    if muted:
        page.keyboard.press("ArrowDown")
        expect_true(page, f"Math.abs({audio}.volume - 0.9) < 0.01 && !{audio}.paused")
        width = "document.querySelector('.tile[data-kind=person] video').videoWidth"
        expect_true(page, f"{width} === 640")
        page.select_option("#quality", "low")
        expect_true(page, f"{width} === 320")
        page.select_option("#quality", "auto")
        expect_true(page, f"{width} === 640")
        with page.expect_download() as download:
            page.keyboard.press("s")
        assert download.value.suggested_filename.startswith("live-hall-")


def test_browser_that_forbids_sound_shows_the_picture_and_a_button(browser: Browser, hub: Hub, publish: Publish):
    publish("porch", "ann")
    strict = browser.browser_type.launch(executable_path=CHROMIUM, args=FLAGS)
    try:
        page = strict.new_page()
        # Until then nothing may be asked in the page: that would count as its user's doing.
        with page.expect_console_message(lambda said: "could not playback audio" in said.text, timeout=60_000):
            page.goto(f"{hub.base_url}/play/live/porch")
        expect(page.locator("#unmute")).to_be_visible(timeout=60_000)
        expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
        expect_badge(page, "Live")
        page.click("#unmute")
        expect(page.locator("#unmute")).to_be_hidden()
        expect_true(page, "!document.querySelector('.tile audio').muted")
        expect_moving(page, "ann")
        expect_audible(page, "ann")
    finally:
        strict.close()
