"""The moderator's seat: an encoder, a moderator at the studio and a guest see and hear each other in one room."""

from __future__ import annotations

import os
import signal

import jwt
from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import Complaints, wait_until
from tests.e2e.studio.conftest import (
    LIMIT_S,
    Enter,
    StudioHub,
    encoder,
    expect_heard,
    expect_moving,
    guest,
    tile,
)

OWN = '.tile[data-local][data-kind="person"]'
WAIT_MS = LIMIT_S * 1000


def device(page: Page) -> str:
    """The camera in use; none while it is being exchanged."""
    script = "document.querySelector('.tile[data-local] video').srcObject?.getVideoTracks()[0]?.getSettings().deviceId"
    return str(page.evaluate(script))


def test_encoder_and_moderator_hear_and_see_each_other(hub: StudioHub, enter: Enter) -> None:
    url = hub.mint("stage", "ann", name="Ann")["studioUrl"]
    with encoder(hub, "stage"), guest(hub, "stage", "listener", canPublish=False) as listener:
        page = enter(url)
        assert page.url == f"{hub.base_url}/studio/live/live-stage", "the token is still in the address"
        expect_moving(page, f"{tile('ingress-live')} video")
        expect_heard(page, f"{tile('ingress-live')} audio")
        expect(page.locator(tile("ingress-live"))).to_contain_text("Stage")
        listener.decoded("ann")
        listener.decoded("ingress-live")
        expect(page.locator("#line-word")).to_have_text("Good connection", timeout=WAIT_MS)
        # One's own picture: as in a mirror, and silent.
        expect_moving(page, f"{OWN} video")
        expect(page.locator(f"{OWN} video")).to_have_css("transform", "matrix(-1, 0, 0, 1, 0, 0)")
        assert page.locator(f"{OWN} audio").count() == 0
        assert page.eval_on_selector(f"{OWN} video", "(video) => video.muted")
        assert hub.streams() == {"ingress-live", "ann"}


def test_moderator_switches_everything_and_leaves(hub: StudioHub, enter: Enter) -> None:
    url = hub.mint("desk", "ann", name="Ann")["studioUrl"]
    with guest(hub, "desk", "listener") as listener, hub.camera("desk"):
        page = enter(url)
        listener.decoded("ann")
        listener.do(do="publish", kind="audio")
        expect_heard(page, f"{tile('listener')} audio")
        expect(page.locator(f"{tile('listener')}[data-speaking]")).to_be_visible(timeout=WAIT_MS)
        # A camera of the room that sends JPEGs is there, too.
        expect_moving(page, '.tile[data-kind="camera"] canvas')

        page.keyboard.press("m")
        listener.said("muted", who="ann", kind="audio")
        expect(page.locator("#microphone")).to_have_attribute("aria-pressed", "false")
        page.keyboard.press("v")
        listener.said("muted", who="ann", kind="video")
        expect(page.locator("#badge-word")).to_have_text("Watching")
        listener.forget()
        page.keyboard.press("v")
        page.keyboard.press("m")
        expect(page.locator("#badge-word")).to_have_text("Live", timeout=WAIT_MS)
        expect_moving(page, f"{OWN} video")

        listener.forget()
        page.keyboard.press("s")
        listener.said("frames", who="ann", count=1)
        expect(page.locator("#screen")).to_have_text("Stop sharing")
        expect(page.locator("#screen")).to_have_attribute("aria-busy", "false", timeout=WAIT_MS)
        expect(page.locator("[data-local][data-kind=screen]")).to_have_count(0)
        page.keyboard.press("s")
        listener.said("withdrawn", who="ann", kind="video")

        page.click("#devices")
        before = device(page)
        other = page.eval_on_selector_all(
            "#pick-camera option", "(all, now) => all.map((o) => o.value).find((v) => v !== now)", before
        )
        page.select_option("#pick-camera", other)
        wait_until(lambda: device(page) == other, "the other camera is in use", LIMIT_S)
        # Unplugged: another device takes over, and the person is told.
        page.evaluate(
            """() => {
              const [track] = document.querySelector('.tile[data-local] video').srcObject.getVideoTracks();
              track.stop();
              track.dispatchEvent(new Event('ended'));
            }"""
        )
        expect(page.locator("#problems")).to_contain_text("was unplugged or has stopped", timeout=WAIT_MS)
        expect(page.locator("#problems")).to_contain_text("now using", timeout=WAIT_MS)
        expect_moving(page, f"{OWN} video")

        asked: list[str] = []
        page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        page.close(run_before_unload=True)
        wait_until(lambda: page.wait_for_timeout(50) is None and asked == ["beforeunload"], "the page asks", LIMIT_S)
        expect_moving(page, f"{OWN} video")
        assert "ann" in hub.streams()

        page.click("#leave")
        expect(page.locator("#gate-title")).to_have_text("You have left the room")
        wait_until(lambda: "ann" not in hub.streams(), "the stream has ended", LIMIT_S)


def test_two_windows_with_one_token_then_livekit_dies_then_all_of_the_server(
    hub: StudioHub, enter: Enter, complaints: Complaints
) -> None:
    complaints.expected = (
        "WebSocket",
        "websocket",
        "ERR_CONNECTION",
        "503",
        "500",
        "signal",
        "Failed to",
        "abort",
        "leave request",
    )
    made = hub.mint("twice", "ann", name="Ann", ttl="5m")
    url = made["studioUrl"]
    first = enter(url)
    second = enter(url)
    expect(first.locator("#gate-title")).to_have_text("You joined in another window", timeout=WAIT_MS)
    expect(first.locator("#mirror-video")).to_be_hidden()

    killed = hub.livekit_process()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: hub.livekit_process() not in (0, killed), "there is another livekit-server", LIMIT_S)
    lives_again(hub, second)
    asked: list[str] = []
    second.on("request", lambda request: asked.append(request.headers.get("authorization", "")))
    hub.stop()
    expect(second.locator("#badge-word")).to_have_text("Reconnecting", timeout=WAIT_MS)
    for pressed in ("false", "true"):  # meanwhile it is switched off and on
        second.keyboard.press("v")
        expect(second.locator("#camera[aria-busy=false]")).to_have_attribute("aria-pressed", pressed, timeout=WAIT_MS)
    hub.start()
    lives_again(hub, second)
    # The first one may have ended by now; LiveKit gives another to whoever is in the room.
    renewed = next(header for header in reversed(asked) if header).removeprefix("Bearer ")
    assert expiry(renewed) > expiry(made["token"])
    assert first.locator("#gate-title").is_visible(), "the first window fights for its place"


def expiry(token: str) -> int:
    return int(jwt.decode(token, options={"verify_signature": False})["exp"])


def lives_again(hub: StudioHub, page: Page) -> None:
    """Others see and hear Ann, and the page says so."""
    wait_until(lambda: "ann" in hub.streams(), "ann publishes", LIMIT_S)
    expect(page.locator("#badge-word")).to_have_text("Live", timeout=WAIT_MS)
    expect(page.locator("#problems p")).to_have_count(0, timeout=WAIT_MS)
    with guest(hub, "twice", "listener", canPublish=False) as listener:
        listener.decoded("ann")
    expect_moving(page, f"{OWN} video")
