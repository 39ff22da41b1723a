"""What the player does when things go wrong: the viewer socket is scripted here, time is the test's."""

import io
import json
from collections.abc import Callable

import attrs
import pytest
from PIL import Image
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e.pages.looks import expect_badge, picture, pictures

SINCE = "2026-11-23T09:00:00.000Z"


def jpeg(colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


def state(word: str, since: str | None = SINCE) -> str:
    camera = None if word == "offline" else {"state": word, "participant": "cam"}
    return json.dumps({"type": "state", "state": word, "since": since, "camera": camera, "publishers": 0})


@attrs.define(slots=False)  # Playwright keeps an attribute of its own on the owners of handlers
class Server:
    """The other side of the viewer socket; ``greet`` is what it does with each connection."""

    greet: Callable[[WebSocketRoute], None]
    connections: list[WebSocketRoute] = attrs.field(factory=list)

    def watch(self, page: Page) -> None:
        page.clock.install()
        page.route_web_socket("**/live/ws*", self._accept)

    def _accept(self, socket: WebSocketRoute) -> None:
        self.connections.append(socket)
        self.greet(socket)

    def say(self, message: str | bytes) -> None:
        self.connections[-1].send(message)


@pytest.fixture
def scripted(open_page):
    """``page, server = scripted(greet)``: a play page whose time stands still but for ``page.clock``."""

    def make(greet: Callable[[WebSocketRoute], None], path: str = "/play/live/cam1") -> tuple[Page, Server]:
        server = Server(greet)
        return open_page(path, before=server.watch), server

    return make


def pass_time(page: Page, ms: int, step: int = 500) -> None:
    """Lets ``ms`` go by, in steps, so that what happens in one is seen in the next."""
    for _ in range(ms // step):
        page.clock.run_for(step)


def greet_live(socket: WebSocketRoute) -> None:
    socket.send(state("live"))
    socket.send(jpeg())


def greet_offline(socket: WebSocketRoute) -> None:
    socket.send(state("offline"))


def set_visible(page: Page, visible: bool) -> None:
    word = "visible" if visible else "hidden"
    page.evaluate(
        "word => { Object.defineProperty(document, 'visibilityState', {value: word, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        word,
    )


def test_live_camera_that_falls_silent_is_dialled_again_within_six_seconds(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    pass_time(page, 4500)
    assert len(server.connections) == 1
    pass_time(page, 1500)
    assert len(server.connections) == 2
    expect_badge(page, "Live")


def test_slow_camera_is_given_more_time_each_round(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    pass_time(page, 60_000)
    assert 3 <= len(server.connections) <= 5


def test_words_about_a_live_camera_do_not_stand_in_for_its_pictures(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    for _ in range(12):
        if len(server.connections) == 1:
            server.say(state("live"))
        pass_time(page, 500)
    assert len(server.connections) == 2


def test_quiet_offline_room_is_asked_again_without_alarm(scripted):
    page, server = scripted(greet_offline)
    expect_badge(page, "Offline")
    page.evaluate(
        "() => { window.words = []; new MutationObserver(() => window.words.push("
        "document.getElementById('badge-word').textContent)).observe(document.getElementById('badge'), "
        "{subtree: true, childList: true, characterData: true}); }"
    )
    pass_time(page, 44_000, step=4000)
    assert len(server.connections) == 1
    pass_time(page, 2000)
    assert len(server.connections) == 2
    assert page.evaluate("window.words") == []


def test_server_that_never_says_a_word_is_left_after_ten_seconds(scripted):
    page, server = scripted(lambda socket: None)
    expect_badge(page, "Connecting")
    pass_time(page, 12_000)
    assert len(server.connections) == 2


def test_outage_does_not_make_the_page_patient(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    server.say(jpeg())
    server.say(state("stale"))
    expect_badge(page, "Stale")
    pass_time(page, 40_000, step=4000)
    server.say(state("live"))
    server.say(jpeg())
    server.say(jpeg())
    expect_badge(page, "Live")
    assert len(server.connections) == 1
    pass_time(page, 6000)
    assert len(server.connections) == 2


def test_placeholder_of_an_offline_room_is_not_drawn(scripted):
    page, server = scripted(greet_offline)
    expect_badge(page, "Offline")
    server.say(jpeg())
    pass_time(page, 500)
    expect(page.locator("#picture")).not_to_be_visible()


def test_last_picture_stays_dimmed_under_the_notice(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    pass_time(page, 500)
    server.say(state("stale"))
    expect_badge(page, "Stale")
    expect(page.locator("#notice-title")).to_have_text("No new picture")
    server.say(state("offline"))
    expect_badge(page, "Offline")
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator("#picture")).to_have_css("filter", "grayscale(1)")


def test_broken_jpeg_disturbs_nothing(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    server.say(b"\xff\xd8 not a picture")
    server.say(b"")
    server.say(jpeg((10, 10, 240)))
    pass_time(page, 500)
    page.wait_for_function(
        "() => document.getElementById('picture').getContext('2d').getImageData(5, 5, 1, 1).data[2] > 200"
    )


def test_burst_ends_with_its_newest_picture(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    for n in range(100):
        server.say(jpeg((0, 2 * n, 0)))
    server.say(jpeg((250, 250, 0)))
    for _ in range(40):
        page.clock.run_for(50)
        if picture(page).convert("RGB").getpixel((5, 5))[0] > 200:
            return
    pytest.fail("the newest picture did not come up")


@pytest.mark.parametrize(
    ("code", "word", "badge"),
    [
        (4401, "playback_unauthorized", "Private"),
        (4401, "unknown_app", "Gone"),
        (4429, "too_many_viewers", "Full"),
        (4401, "something_new", "Refused"),
    ],
)
def test_refusal_is_explained_and_asked_again_slowly(scripted, code, word, badge):
    def refuse(socket: WebSocketRoute) -> None:
        socket.send(json.dumps({"type": "error", "code": str(code), "message": word}))
        socket.close(code=code, reason=word)

    page, server = scripted(refuse)
    expect_badge(page, badge)
    pass_time(page, 14_000, step=2000)
    assert len(server.connections) == 1
    pass_time(page, 17_000, step=1000)
    assert len(server.connections) == 2
    page.click("#retry")
    page.clock.run_for(10)
    assert len(server.connections) == 3


def test_server_restart_is_no_refusal(scripted):
    def restart(socket: WebSocketRoute) -> None:
        socket.send(json.dumps({"type": "error", "code": "1012", "message": "server restart"}))
        socket.close(code=1012)

    page, server = scripted(restart)
    expect_badge(page, "Reconnecting")
    pass_time(page, 1000)
    assert len(server.connections) >= 2


def test_server_that_closes_at_once_is_dialled_ever_slower_and_for_ever(scripted):
    def crash(socket: WebSocketRoute) -> None:
        socket.send(state("connecting"))
        socket.close(code=1011)

    page, server = scripted(crash)
    expect_badge(page, "Reconnecting")
    pass_time(page, 10_000)
    assert 4 <= len(server.connections) <= 7
    before = len(server.connections)
    pass_time(page, 120_000, step=1000)
    assert 11 <= len(server.connections) - before <= 26


def test_hidden_tab_lets_go_after_thirty_seconds_and_is_back_at_once(scripted):
    closed = []

    def greet(socket: WebSocketRoute) -> None:
        socket.on_close(lambda code, reason: closed.append(code))
        greet_offline(socket)

    page, server = scripted(greet)
    expect_badge(page, "Offline")
    set_visible(page, False)
    pass_time(page, 29_000, step=1000)
    assert closed == []
    pass_time(page, 2000)
    assert len(closed) == 1
    pass_time(page, 600_000, step=60_000)
    assert len(server.connections) == 1
    set_visible(page, True)
    page.clock.run_for(10)
    assert len(server.connections) == 2
    expect_badge(page, "Offline")


def test_tab_hidden_for_a_moment_keeps_its_connection(scripted):
    page, server = scripted(greet_offline)
    expect_badge(page, "Offline")
    set_visible(page, False)
    pass_time(page, 10_000)
    set_visible(page, True)
    pass_time(page, 25_000, step=1000)
    assert len(server.connections) == 1


def test_tab_shown_again_while_waiting_to_dial_does_not_wait(scripted):
    page, server = scripted(lambda socket: socket.close(code=1011))
    expect_badge(page, "Reconnecting")
    pass_time(page, 60_000, step=1000)
    before = len(server.connections)
    set_visible(page, False)
    set_visible(page, True)
    page.clock.run_for(10)
    assert len(server.connections) == before + 1


def test_laptop_that_slept_dials_at_once(scripted):
    page, server = scripted(greet_offline)
    expect_badge(page, "Offline")
    page.clock.run_for(1000)
    page.clock.fast_forward(20_000)  # as if the lid had been closed
    page.clock.run_for(300)
    assert len(server.connections) == 2


def test_network_that_is_back_dials_at_once(scripted):
    page, server = scripted(greet_offline)
    expect_badge(page, "Offline")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.clock.run_for(10)
    assert len(server.connections) == 2


def test_picture_is_not_called_live_while_dialling_again(scripted):
    page, server = scripted(greet_live)
    expect_badge(page, "Live")
    server.greet = lambda socket: None
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect_badge(page, "Reconnecting")
    page.clock.run_for(10)
    server.connections[-1].send(state("live"))
    expect_badge(page, "Live")


def test_page_kept_for_the_back_button_lets_go_and_is_back(scripted):
    page, server = scripted(greet_offline)
    expect_badge(page, "Offline")
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    expect_badge(page, "Paused")
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    page.clock.run_for(10)
    assert len(server.connections) == 2
    expect_badge(page, "Offline")


NO_SOCKETS = """
const Real = WebSocket;
window.socketsWork = false;
window.WebSocket = function (url) {
  if (window.socketsWork) return new Real(url);
  const dead = {close() {}};
  setTimeout(() => dead.onclose && dead.onclose({code: 1006}), 10);
  return dead;
};
"""


def test_blocked_sockets_then_mjpeg_moves_and_sockets_are_taken_when_they_work(open_page, camera):
    page = open_page("/play/live/cam1", before=lambda p: p.add_init_script(NO_SOCKETS))
    expect_badge(page, "MJPEG")
    pictures(page, 4)
    with page.expect_download():
        page.click("#snapshot")
    page.evaluate("window.socketsWork = true; window.dispatchEvent(new Event('online'))")
    expect_badge(page, "Live")
    pictures(page, 3)


def test_blocked_sockets_and_a_dead_mjpeg_stream_then_not_shown_as_fine(open_page, hub):
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg()), jpeg())
    asked = []

    def before(page: Page) -> None:
        page.add_init_script(NO_SOCKETS)
        page.route(
            "**/mjpeg?*",
            lambda route: (
                asked.append(1),
                route.fulfill(body=part, content_type="multipart/x-mixed-replace; boundary=frame"),
            ),
        )

    page = open_page("/play/live/cam1", before=before)
    page.wait_for_function("() => document.getElementById('player').dataset.seen")
    expect_badge(page, "Reconnecting")
    page.wait_for_timeout(4000)
    assert 1 <= len(asked) <= 4
