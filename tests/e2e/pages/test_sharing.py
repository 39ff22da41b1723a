"""The share panel, and embeds on pages of other people."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.conftest import Hub
from tests.e2e.pages.looks import expect_badge, picture_hash, pictures


class _OnePage(BaseHTTPRequestHandler):
    def __init__(self, html: str, *args) -> None:
        self.html = html
        super().__init__(*args)

    def do_GET(self) -> None:
        body = self.html.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope="module")
def camera(hub: Hub) -> Iterator[str]:
    """A small one: twelve players on two cores are enough work."""
    with hub.camera("cam1", fps=5, size="320x240"):
        yield "cam1"


@pytest.fixture
def other_origin() -> Iterator[Callable[[str], str]]:
    """``other_origin(html)``: the address of that page on a server of its own."""
    servers = []

    def serve(html: str) -> str:
        page = f'<!doctype html><link rel="icon" href="data:,"><body>{html}'
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_OnePage, page))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield serve
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def frames_of(page: Page) -> list:
    return [frame for frame in page.frames if frame != page.main_frame]


def test_twelve_embeds_on_a_page_of_another_origin_all_move(open_page, hub: Hub, camera, other_origin):
    iframe = f'<iframe src="{hub.base_url}/embed/live/{camera}" width="200" height="150"></iframe>'
    page = open_page(other_origin(iframe * 12), viewport={"width": 1280, "height": 800})
    frames = frames_of(page)
    assert len(frames) == 12
    for frame in frames:
        expect_badge(frame, "Live")
    before = [picture_hash(frame) for frame in frames]
    for frame, old in zip(frames, before, strict=True):
        assert any(now != old for now in pictures(frame, 2))


def test_embed_in_a_sandbox_without_an_origin_moves(open_page, hub: Hub, camera, other_origin):
    src = f"{hub.base_url}/embed/live/{camera}"
    page = open_page(other_origin(f'<iframe src="{src}" sandbox="allow-scripts"></iframe>'))
    expect_badge(frames_of(page)[0], "Live")
    pictures(frames_of(page)[0], 2)


def test_embed_in_a_page_from_disk_moves(open_page, hub: Hub, camera, tmp_path: Path):
    html = tmp_path / "mine.html"
    html.write_text(f'<!doctype html><iframe src="{hub.base_url}/embed/live/{camera}"></iframe>')
    page = open_page(html.as_uri())
    expect_badge(frames_of(page)[0], "Live")
    pictures(frames_of(page)[0], 2)


def test_play_page_in_a_page_of_another_origin_moves(open_page, hub: Hub, camera, other_origin):
    page = open_page(other_origin(f'<iframe src="{hub.base_url}/play/live/{camera}"></iframe>'))
    expect_badge(frames_of(page)[0], "Live")
    pictures(frames_of(page)[0], 2)


@pytest.mark.parametrize("host", ["127.0.0.1", "cam.test"])
def test_copied_iframe_text_is_right_with_and_without_the_clipboard_api(open_page, hub: Hub, camera, host):
    base = f"http://{host}:{hub.port}"
    page = open_page(f"{base}/play/live/{camera}", permissions=["clipboard-read", "clipboard-write"])
    assert page.evaluate("isSecureContext") is (host == "127.0.0.1")
    page.click("#share-open")
    page.click('[data-copy="share-iframe"]')
    expect(page.locator('[data-copy="share-iframe"]')).to_have_text("Copied")
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'paste'}))")
    page.focus("#paste")
    page.keyboard.press("Control+V")
    embed = f"{base}/embed/live/live-cam1"
    assert page.input_value("#paste") == (
        f'<iframe src="{embed}" width="640" height="360" frameborder="0" '
        'allow="autoplay; fullscreen; camera; microphone" allowfullscreen></iframe>'
    )


def test_pasted_iframe_shows_the_camera_and_may_go_full_screen(open_page, hub: Hub, camera, other_origin):
    page = open_page(f"/play/live/{camera}")
    host = open_page(other_origin(page.input_value("#share-iframe")))
    frame = frames_of(host)[0]
    expect_badge(frame, "Live")
    pictures(frame, 2)
    assert frame.evaluate("document.fullscreenEnabled") is True


def test_addresses_to_share_work(open_page, hub: Hub, camera):
    page = open_page(f"/play/live/{camera}")
    page.click("#share-open")
    frame_url = page.input_value("#share-frame")
    answer = page.context.request.get(frame_url)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    page.goto(page.input_value("#share-play"))
    expect_badge(page, "Live")


def test_token_of_the_address_reaches_the_socket_and_no_shared_address(open_page, hub: Hub, camera):
    sockets = []
    page = open_page(
        f"/play/live/{camera}?token=tok%20en", before=lambda p: p.on("websocket", lambda s: sockets.append(s.url))
    )
    expect_badge(page, "Live")
    assert sockets == [f"ws://127.0.0.1:{hub.port}/live/ws?app=live&room=live-cam1&pictures=camera&token=tok+en"]
    shared = page.eval_on_selector_all("#share input", "all => all.map((one) => one.value)")
    assert len(shared) == 4
    assert not any("tok" in text for text in shared)
