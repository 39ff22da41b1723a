"""A live RTMP room in the players people have: VLC, and video.js on a page of another origin. Both count as viewers."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trio
from playwright.sync_api import sync_playwright

from tests.docs.pages import DOCS, blocks
from tests.e2e.pages.conftest import CHROMIUM, FLAGS
from tests.e2e.relays.conftest import has_state, make_ingress, publishing, state_of
from tests.support.server import Server

NODE = Path(__file__).parents[2] / "node"
ADDRESS = "http://127.0.0.1:3020/hls/live/stage/index.m3u8"
SIZE = (640, 360)
LIMIT_S = 90.0
# VLC will not run as root.
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
CLOCK = "document.querySelector('#stage video').currentTime"
LOOK = """() => {
    const video = document.querySelector('#stage video');
    const canvas = Object.assign(document.createElement('canvas'), {width: 64, height: 36});
    canvas.getContext('2d').drawImage(video, 0, 0, 64, 36);
    return [video.currentTime, video.videoWidth, video.videoHeight, canvas.toDataURL()];
}"""


@contextmanager
def page_server(url: str) -> Iterator[str]:
    """The address of the docs' page with video.js, playing ``url``."""
    (snippet,) = [b.text for b in blocks(DOCS / "platforms" / "players.md") if "videojs(" in b.text]
    assert ADDRESS in snippet
    page = "<!doctype html>" + snippet.replace(ADDRESS, url)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            known = name.startswith("node_modules/video.js/dist/")
            body = (NODE / name).read_bytes() if known else page.encode()
            self.send_response(200)
            kinds = {"js": "text/javascript", "css": "text/css"}
            self.send_header("Content-Type", kinds[name.rpartition(".")[2]] if known else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def watch_by_video_js(url: str) -> None:
    """Return once video.js has played several seconds of moving pictures. Fails if it does not."""
    with page_server(url) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(LIMIT_S * 1000)
        page.goto(address)
        # On a busy machine the sound runs before the first picture is decoded.
        page.wait_for_function(f"() => {CLOCK} > 0.5 && document.querySelector('#stage video').videoWidth > 0")
        seen = [page.evaluate(LOOK)]
        for _ in range(4):
            page.wait_for_function(f"at => {CLOCK} > at + 1", arg=seen[-1][0])
            seen.append(page.evaluate(LOOK))
        assert page.evaluate("player.error()") is None
        browser.close()
    assert {tuple(one[1:3]) for one in seen} == {SIZE}
    assert len({one[3] for one in seen}) == len(seen), "the picture moves"


async def frames_of_vlc(url: str, seconds: int) -> list[str]:
    """Fingerprints of what VLC has decoded of that address: it encodes it anew, and ffmpeg reads that."""
    vlc = ["vlc", "-I", "dummy", "--no-sout-audio", f"--run-time={seconds}", url, "vlc://quit"]
    vlc += ["--sout", "#transcode{vcodec=mp2v,vb=4000}:std{access=file,mux=ts,dst=-}"]
    words = [*(NOBODY if os.geteuid() == 0 else []), *vlc]
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    with trio.fail_after(LIMIT_S):
        played = await trio.run_process(words, env=env, capture_stdout=True, stderr=subprocess.DEVNULL)
        sums = ["ffmpeg", "-v", "error", "-i", "-", "-an", "-f", "framemd5", "-"]
        found = await trio.run_process(sums, stdin=played.stdout, capture_stdout=True)
    return [line.rsplit(",", 1)[1].strip() for line in found.stdout.decode().splitlines() if not line.startswith("#")]


async def test_players_when_a_room_comes_by_rtmp_then_vlc_and_video_js_show_it_moving_and_are_counted(
    hub: Server,
) -> None:
    made = await make_ingress(hub)
    url = f"{hub.base_url}/hls/live/yard/index.m3u8"
    async with publishing(made["rtmp_url"]):
        await has_state(hub, made["ingressId"], "publishing")
        frames = await frames_of_vlc(url, 8)
        assert len(frames) > 50
        assert len(set(frames)) > 0.9 * len(frames), "the picture moves"
        poster = await hub.request("GET", "/live/live/yard/poster.jpg", token=None)
        assert (poster.status, poster.headers["x-stream-state"]) == (200, "live"), "though nobody has taken pictures"
        await trio.to_thread.run_sync(watch_by_video_js, url)
        (stream,) = (await hub.request("GET", "/api/v1/apps/live/streams")).data
        assert stream["viewers"]["hls"] == 2
        assert (await state_of(hub, made["ingressId"]))["viewers"] == 2
        metrics = (await hub.request("GET", "/metrics")).body.decode()
        for line in (
            'streamhub_ws_ingest_viewers{app="live",kind="hls"} 2.0',
            'streamhub_relays{app="live",state="publishing"} 1.0',
            "streamhub_rtmp_connections 1.0",
        ):
            assert line in metrics
        checks = (await hub.request("GET", "/api/v1/health?verbose=1")).json()["checks"]
        told = {check["name"]: (check["ok"], check["detail"]) for check in checks}
        assert told["relays"] == (True, "1 running of at most 64")
        assert told["rtmp"][0] is True
        assert told["rtmp"][1].endswith(", 1 connected")
