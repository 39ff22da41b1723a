"""HLS to players that are not browsers: real segments, read by ffprobe and decoded by ffmpeg over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from streamhub.rooms.hls_files import HlsFiles
from tests.e2e.peers.proxies import DOCS, documented, open_nginx
from tests.support.hls_feed import FPS, SIZE, feed_room
from tests.support.media import Authority, Media, room_key, serve_media
from tests.support.peer import connect

LIMIT_S = 60.0
PATH = "/hls/live/cam1/index.m3u8"


@asynccontextmanager
async def fed(tmp_path: Path, *, private: bool = False) -> AsyncIterator[Media]:
    async with (
        serve_media(Authority(private=private), HlsFiles(tmp_path / "hls")) as media,
        media.hub.lease(room_key(), publishing=True) as room,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(feed_room, room)
        yield media
        nursery.cancel_scope.cancel()
    assert not list((tmp_path / "hls").iterdir()), "nothing stays on the disk"


async def run(*command: str) -> str:
    with trio.fail_after(LIMIT_S):
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


async def test_players_when_they_read_either_container_then_they_decode_a_moving_picture_and_sound(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path) as media, trio.open_nursery() as both:
        url = f"http://127.0.0.1:{media.port}{PATH}"
        both.start_soon(plays, url)
        both.start_soon(plays, f"{url}?container=ts")
        async with connect(media.port) as client:
            assert (await client.get("/hls/live/cam1/own.m3u8")).status == 404


async def plays(url: str) -> None:
    about = json.loads(await run("ffprobe", "-v", "error", "-show_streams", "-of", "json", url))
    kinds = {s["codec_type"]: s for s in about["streams"]}
    assert (kinds["video"]["codec_name"], kinds["video"]["width"], kinds["video"]["height"]) == ("h264", *SIZE)
    assert kinds["audio"]["codec_name"] == "aac"
    # Across several reloads of the list.
    frames = await run("ffmpeg", "-v", "error", "-nostdin", "-i", url, "-t", "5", "-an", "-f", "framemd5", "-")
    sums = [line.rsplit(",", 1)[1].strip() for line in frames.splitlines() if not line.startswith("#")]
    assert len(sums) >= 4 * FPS
    assert len(set(sums)) > 0.9 * len(sums), "the picture moves"


async def test_player_when_the_app_is_private_then_the_token_of_the_list_opens_the_segments(tmp_path: Path) -> None:
    async with fed(tmp_path, private=True) as media:
        url = f"http://127.0.0.1:{media.port}{PATH}"
        refused = await trio.run_process(
            ["ffprobe", "-v", "error", url], capture_stdout=True, capture_stderr=True, check=False
        )
        assert refused.returncode != 0
        assert b"401" in refused.stderr
        about = await run(
            "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv", f"{url}?token=good"
        )
        assert "h264" in about


async def test_nginx_with_the_documented_cache_then_a_crowd_costs_the_server_one_viewer(tmp_path: Path) -> None:
    """Each line of nginx's log: what the cache did, and for what."""
    crowd, seconds = 20, 4
    folder = tmp_path / "nginx"
    (cache,) = re.findall(r"`(proxy_cache_path [^`]*;)`", (DOCS / "hls.md").read_text())
    cache = cache.replace("/var/cache/nginx/hls", str(folder / "cache"))
    outside = f"{cache}\nlog_format cached '$upstream_cache_status $uri';"
    lines = f"proxy_pass http://127.0.0.1:3020;\nlocation /hls/ {{\n{documented('location /hls/', 'hls.md')}}}"
    async with fed(tmp_path) as media:
        log = folder / "access.log"
        async with open_nginx(media, folder, lines=lines, http=outside, access_log=f"{log} cached") as proxy:

            async def watch() -> None:
                seen: set[str] = set()
                async with connect(proxy.port) as client:
                    for _ in range(seconds * 2):
                        answer = await client.get(PATH)
                        assert answer.status == 200
                        for name in set(re.findall(r"^[^#].*m4s$", answer.body.decode(), re.MULTILINE)) - seen:
                            seen.add(name)
                            assert (await client.get(f"/hls/live/cam1/{name}")).status == 200
                        await trio.sleep(0.5)
                assert len(seen) >= 2

            with trio.fail_after(LIMIT_S):
                async with trio.open_nursery() as nursery:
                    for _ in range(crowd):
                        nursery.start_soon(watch)
    asked = [line.split() for line in log.read_text().splitlines()]
    segments = [(status, uri) for status, uri in asked if uri.endswith(".m4s")]
    reached = [uri for status, uri in segments if status != "HIT"]
    assert len(segments) >= 2 * crowd
    assert len(reached) == len(set(reached)), "each segment is fetched once"
    lists = [status for status, uri in asked if uri.endswith(".m3u8")]
    assert sum(status != "HIT" for status in lists) <= len(lists) / 4, "a list, about once a second"
