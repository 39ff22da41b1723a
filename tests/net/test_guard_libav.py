"""libav, as relay workers use it, through the guarded proxy: files, redirects, playlists, TLS."""

from __future__ import annotations

import json
import ssl
import sys
from ipaddress import ip_network
from pathlib import Path

import trio

from streamhub.net.guard import OutboundRules
from streamhub.net.guard_proxy import GuardedProxy
from tests.net.origin import origin

MAKE = """
import sys, av
container = av.open(sys.argv[1], "w", format="hls", options={"hls_time": "1", "hls_playlist_type": "vod"})
video = container.add_stream("libx264", rate=10, options={"g": "10", "preset": "ultrafast"})
video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
for n in range(30):
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.pts = n
    container.mux(video.encode(frame))
container.mux(video.encode())
container.close()
"""
# Each further argument is a URL; answers how many frames it gave, or libav's error.
OPEN = """
import json, sys, av
found = {}
for url in sys.argv[2:]:
    try:
        with av.open(url, options={"http_proxy": sys.argv[1]}, timeout=20) as container:
            found[url] = sum(1 for _ in container.decode(video=0))
    except Exception as exc:
        found[url] = f"{type(exc).__name__}: {exc}"
print(json.dumps(found))
"""


async def run(script: str, *args: str) -> str:
    # What the machine is told about proxies is not meant for libav here.
    done = await trio.run_process([sys.executable, "-c", script, *args], capture_stdout=True, env={"PATH": ""})
    return done.stdout.decode()


async def test_libav_then_what_is_allowed_plays_and_redirects_and_playlists_are_judged(
    tmp_path: Path, server_tls: ssl.SSLContext
) -> None:
    with trio.fail_after(120):
        await run(MAKE, str(tmp_path / "live.m3u8"))
        playlist = (tmp_path / "live.m3u8").read_text()
        segments = sorted(path.name for path in tmp_path.glob("*.ts"))
        assert len(segments) == 3
        proxy = GuardedProxy(OutboundRules([ip_network("127.0.0.0/8")]))
        async with trio.open_nursery() as nursery, origin() as plain, origin(server_tls) as secure:
            await nursery.start(proxy.run)
            http, https = f"http://127.0.0.1:{plain.port}", f"https://127.0.0.1:{secure.port}"
            for served in (plain, secure):
                for name in segments:
                    served.put(f"/{name}", (tmp_path / name).read_bytes())
                served.put("/live.m3u8", playlist.encode(), "application/vnd.apple.mpegurl")
            plain.redirect("/moved", f"{http}/{segments[0]}")
            plain.redirect("/trap", "http://169.254.169.254/latest/meta-data")
            plain.redirect("/trap6", "http://[::1]:9/x")
            trap = playlist.replace(segments[1], f"http://169.254.169.254/{segments[1]}")
            plain.put("/trap.m3u8", trap.encode(), "application/vnd.apple.mpegurl")
            urls = {
                "file": f"{http}/{segments[0]}",
                "credentials": f"http://user:p%40ss@127.0.0.1:{plain.port}/{segments[0]}",
                "tls": f"{https}/{segments[0]}",
                "moved": f"{http}/moved",
                "hls": f"{http}/live.m3u8",
                "hls tls": f"{https}/live.m3u8",
                "trap": f"{http}/trap",
                "trap6": f"{http}/trap6",
                "metadata": "http://169.254.169.254/latest/meta-data",
                "metadata tls": "https://169.254.169.254/latest/meta-data",
                "hls trap": f"{http}/trap.m3u8",
            }
            answer = json.loads(await run(OPEN, proxy.url("IN_1"), *urls.values()))
            nursery.cancel_scope.cancel()
    found = {name: answer[url] for name, url in urls.items()}
    for name in ("trap", "trap6", "metadata"):
        assert "403" in str(found.pop(name))
    assert isinstance(found.pop("metadata tls"), str)  # libav has no words for a tunnel that is refused
    # A segment that is refused is skipped: what came from elsewhere is played.
    assert found == {"file": 10, "credentials": 10, "tls": 10, "moved": 10, "hls": 30, "hls tls": 30, "hls trap": 20}
    assert "169.254.169.254 is a cloud's metadata service" in str(proxy.refusal("IN_1"))
    assert all(b"roxy" not in head for head in (*plain.heads, *secure.heads))
