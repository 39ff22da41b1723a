"""What stands between a person and the room: tokens, browsers, devices; each in words that say what to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from streamhub.livekit.tokens import JoinGrant, mint_join_token
from streamhub.model.clock import utc_now
from tests.e2e.pages.conftest import Complaints, Hub, wait_until
from tests.e2e.studio.conftest import (
    GOODBYES,
    KEYS,
    LIMIT_S,
    OpenPage,
    StudioHub,
    expect_heard,
    expect_moving,
    guest,
    tile,
)

WAIT_MS = LIMIT_S * 1000
PHONE = {"width": 390, "height": 844}


def expect_gate(page: Page, title: str, *texts: str) -> None:
    expect(page.locator("#gate-title")).to_have_text(title, timeout=WAIT_MS)
    for text in texts:
        expect(page.locator("#gate")).to_contain_text(text)


def test_token_that_does_not_do_then_words_and_a_good_one_pasted_then_the_lobby(
    hub: StudioHub, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = ("401", "404")
    assert hub.get("/studio/nope/stage") == 404
    page = open_page("/studio/live/stage")
    expect_gate(page, "Enter the studio", "streamhub tokens join stage", "/api/v1/apps/live/tokens")
    good = hub.mint("stage", "eve", name="Eve")
    past = utc_now() - timedelta(hours=2)
    grant = JoinGrant(room="live-stage", identity="eve", can_publish=True, can_subscribe=True)

    def offer(text: str) -> None:
        page.fill("#ticket-text", text)
        page.click("#ticket button")

    offer("sk_0123456789")
    expect_gate(page, "That is an API token", "do not paste it into pages")
    offer("hello")
    expect_gate(page, "That is not a join token")
    for token, title, text in [
        (mint_join_token(KEYS, grant, past, 3600), "This token has expired", "Ask whoever sent you here"),
        (hub.mint("other", "eve")["token"], "This token is for another room", "/studio/live/live-other"),
        (good["token"][:-4] + "AAAA", "The server does not accept this token", "streamhub tokens join"),
    ]:
        offer(token)
        expect_gate(page, title, text)
        page.click("#gate-other")
        expect_gate(page, "Enter the studio")
    offer(good["studioUrl"])
    expect(page.locator("#setup-who")).to_have_text("You join as Eve.", timeout=WAIT_MS)
    # The tab keeps it, and no address, history or server log does.
    page.reload()
    expect(page.locator("#setup-who")).to_have_text("You join as Eve.", timeout=WAIT_MS)
    assert "token" not in page.url
    for form in ("#", "?"):
        page = open_page(f"/studio/live/stage{form}token={good['token']}")
        expect(page.locator("#setup-who")).to_have_text("You join as Eve.", timeout=WAIT_MS)
        assert "token" not in page.url


def test_insecure_origin_then_why_and_how_and_one_can_watch_and_listen(
    hub: StudioHub, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = GOODBYES
    fragment = hub.mint("plain", "ann")["studioUrl"].partition("#")[2]
    with guest(hub, "plain", "bob") as bob:
        for kind in ("video", "audio"):
            bob.do(do="publish", kind=kind)
        page = open_page(f"http://cams.test:{hub.port}/studio/live/plain#{fragment}", viewport=PHONE)
        assert page.evaluate("isSecureContext") is False
        expect_gate(page, "Your browser keeps camera and microphone from this page", "https", "localhost")
        for text in (f"reverse_proxy 127.0.0.1:{hub.port}", "STREAMHUB_TLS_CERT=", f"ssh -L {hub.port}:"):
            expect(page.locator("#insecure")).to_contain_text(text)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.click("#gate-listen")
        page.click("#join")
        expect(page.locator("#badge-word")).to_have_text("Watching", timeout=WAIT_MS)
        expect_moving(page, f"{tile('bob')} video")
        expect_heard(page, f"{tile('bob')} audio")
        expect(page.locator(".toggle:visible")).to_have_count(0)


def test_token_for_a_voice_then_the_microphone_alone_and_for_a_viewer_nothing(
    hub: StudioHub, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = GOODBYES
    with guest(hub, "radio", "bob", canPublish=False) as bob:
        page = open_page(hub.mint("radio", "ann", audioOnly=True)["studioUrl"], viewport=PHONE, has_touch=True)
        expect(page.locator("#mirror-word")).to_have_text("This token is for your voice only", timeout=WAIT_MS)
        expect(page.locator(".pick:visible label")).to_have_text(["Microphone", "Speaker"])
        page.click("#setup-title")  # browsers measure nothing before the first tap
        level = "() => Number(document.getElementById('meter').getAttribute('aria-valuenow'))"
        wait_until(lambda: page.evaluate(level) > 10, "the meter moves", LIMIT_S)
        page.tap("#join")
        expect(page.locator("#badge-word")).to_have_text("Live", timeout=WAIT_MS)
        bob.said("sound", who="ann")
        expect(page.locator(".toggle:visible")).to_have_text(["Mic"])
        sizes = page.eval_on_selector_all(
            "button", "all => all.filter((b) => b.offsetParent).map((b) => [b.id, b.offsetWidth, b.offsetHeight])"
        )
        assert len(sizes) == 3
        assert [row for row in sizes if min(row[1:]) < 44] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    token = hub.mint("radio", "eve", canPublish=False)
    assert token["studioUrl"] is None
    page = open_page(f"/studio/live/radio#token={token['token']}")
    page.get_by_role("button", name="Watch and listen").click()
    expect(page.locator("#badge-word")).to_have_text("Watching", timeout=WAIT_MS)


HOLD = """
const devices = navigator.mediaDevices, ask = devices.getUserMedia.bind(devices);
const answered = new Promise((resolve) => (window.allow = resolve));
window.given = [];
devices.getUserMedia = async (wanted) => {
    await answered;
    const stream = await ask(wanted);
    window.given.push(...stream.getTracks());
    return stream;
};
"""


def test_question_for_devices_answered_late_then_one_is_live_and_whoever_has_left_is_not(
    hub: StudioHub, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = GOODBYES

    def join(identity: str) -> Page:
        url = hub.mint("late", identity)["studioUrl"]
        page = open_page(url, before=lambda new: new.add_init_script(HOLD))
        page.click("#join")
        expect(page.locator("#badge-word")).to_have_text("Watching", timeout=WAIT_MS)
        return page

    slow = join("slow")
    slow.evaluate("window.allow()")
    expect(slow.locator("#badge-word")).to_have_text("Live", timeout=WAIT_MS)
    wait_until(lambda: "slow" in hub.streams(), "it is a stream", LIMIT_S)
    gone = join("gone")
    gone.click("#leave")
    expect(gone.locator("#gate-title")).to_have_text("You have left the room")
    gone.evaluate("window.allow()")
    states = "window.given.map((track) => track.readyState)"
    wait_until(lambda: gone.evaluate(states) == ["ended", "ended"], "both are closed again", LIMIT_S)


def test_devices_refused_then_what_to_click_and_one_joins_without(hub: StudioHub, strict_browser: Browser) -> None:
    page = strict_browser.new_page()
    page.goto(hub.mint("shy", "ann")["studioUrl"])
    problems = page.locator("#problems p")
    expect(problems).to_have_count(2, timeout=WAIT_MS)
    for number, kind in enumerate(("microphone", "camera")):
        expect(problems.nth(number)).to_contain_text(f"The browser may not use your {kind}. Click the symbol left")
    page.click("#join")
    expect(page.locator("#badge-word")).to_have_text("Watching", timeout=WAIT_MS)
    # Allowed meanwhile, as by that click.
    page.context.grant_permissions(["camera", "microphone"])
    page.click("#retry")
    expect(page.locator("#badge-word")).to_have_text("Live", timeout=WAIT_MS)
    expect(problems).to_have_count(0)
    expect_moving(page, ".tile[data-local] video")


def test_server_without_livekit_then_what_to_install(
    tmp_path: Path, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = ("503",)

    class Without(Hub):
        @property
        def env(self) -> dict[str, str]:
            return super().env | {"STREAMHUB_LIVEKIT_BINARY": "off"}

    hub = Without(tmp_path / "data")
    hub.start()
    try:
        made = hub.call("POST", "/apps/live/tokens", {"room": "stage"})
        page = open_page(str(made["studioUrl"]))
        expect_gate(page, "This server cannot do WebRTC yet", "streamhub livekit install")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()
    finally:
        hub.stop()
