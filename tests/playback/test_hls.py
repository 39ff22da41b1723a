from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import Unavailable
from streamhub.model.streams import Published, State
from streamhub.playback.hls import COLD_RETRY_AFTER_S, COLD_S, STALLED_S
from streamhub.rooms.lease import LEASE_S
from tests.playback.scene import START, scene
from tests.support.hls import Maker, inline_files, supervise
from tests.support.media import Authority, Media, room_key
from tests.support.peer import HttpPeer, connect

PATH = "/hls/live/cam1/index.m3u8"
BODY = bytes(range(256)) * 8


@attrs.define(eq=False)
class Site:
    media: Media
    client: HttpPeer
    makers: list[Maker]

    async def warm(self, target: str = PATH, count: int = 1) -> Maker:
        """Ask for a playlist, and make its first segments."""
        await self.client.ask(target)
        await trio.testing.wait_all_tasks_blocked(0.01)
        for _ in range(count):
            await self.makers[-1].make(BODY)
        assert (await self.client.reply()).status == 200
        return self.makers[-1]


@asynccontextmanager
async def site(tmp_path: Path, authority: Authority | None = None) -> AsyncIterator[Site]:
    """A room ``cam1`` whose source can give HLS."""
    makers: list[Maker] = []
    async with (
        scene(authority, inline_files(tmp_path)) as media,
        media.hub.lease(room_key(), publishing=True) as room,
        connect(media.port) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(supervise, room, makers.append)
        yield Site(media, client, makers)
        nursery.cancel_scope.cancel()
    assert media.hub.totals.room_errors == 0


async def test_playlist_when_cold_then_it_is_held_until_the_first_segment(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await at.client.ask(PATH)
        await trio.sleep(COLD_S / 2)
        assert at.client.data == b""
        name = await at.makers[0].make(BODY)
        reply = await at.client.reply()
        assert reply.status == 200
        assert reply.headers == {
            "content-type": "application/vnd.apple.mpegurl",
            "content-length": str(len(reply.body)),
            "cache-control": "public, max-age=1",
            "etag": reply.headers["etag"],
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "Content-Length, Content-Range, ETag",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }
        assert reply.body.decode() == at.makers[0].stream.window.playlist()
        assert name in reply.body.decode()
        assert (await at.client.get(PATH)).body == reply.body
        again = await at.client.get(PATH, headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        await at.makers[0].make(BODY)
        newer = await at.client.get(PATH, headers={"If-None-Match": reply.headers["etag"]})
        assert newer.status == 200
        head = await at.client.get(PATH, "HEAD")
        assert (head.head, at.client.data) == (newer.head, b"")


async def test_playlist_when_several_read_it_then_they_are_counted_among_the_rooms_viewers(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await at.warm()

        def viewers() -> int:
            status = at.media.hub.status(room_key())
            assert status is not None
            return status.viewers["hls"]

        assert viewers() == 1
        await at.client.get(PATH, "HEAD")
        for headers in ({"User-Agent": "VLC"}, {"User-Agent": "tv"}, {"User-Agent": "VLC"}):
            await at.client.get(PATH, headers=headers)
        assert viewers() == 3
        # Through a proxy, each by its own address.
        await at.client.get(PATH, headers={"User-Agent": "VLC", "X-Forwarded-For": "10.1.1.1"})
        await at.client.get(f"{PATH}?container=ts", headers={"User-Agent": "VLC", "X-Forwarded-For": "10.1.1.1"})
        assert viewers() == 4
        await trio.sleep(LEASE_S / 2)
        await at.client.get(PATH, headers={"User-Agent": "tv"})
        await trio.sleep(LEASE_S / 2 + 1)
        assert viewers() == 1


async def test_playlist_when_no_segment_comes_then_503_says_when_to_come_back(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        asked_at = trio.current_time()
        reply = await at.client.get(PATH)
        assert trio.current_time() == pytest.approx(asked_at + COLD_S, abs=0.1)
        assert (reply.status, reply.json()["code"]) == (503, "hls_starting")
        assert reply.headers["retry-after"] == str(COLD_RETRY_AFTER_S)
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["cache-control"] == "no-store"


async def test_playlist_when_the_maker_fails_then_its_words_are_the_answer(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        await at.client.ask(PATH)
        await trio.testing.wait_all_tasks_blocked(0.01)
        at.makers[0].stream.fail(Unavailable("too many pixels", code="source_too_large", hint="use the sub-stream"))
        reply = await at.client.reply()
        assert (reply.status, reply.json()["code"], reply.json()["hint"]) == (
            503,
            "source_too_large",
            "use the sub-stream",
        )


async def test_playlist_when_nobody_can_give_it_then_it_says_why(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        offline = await at.client.get("/hls/live/cam2/index.m3u8")
        assert (offline.status, offline.json()["code"]) == (503, "room_offline")
        assert offline.headers["retry-after"] == "5"
        assert offline.headers["access-control-allow-origin"] == "*"
        at.media.hub.publishing(room_key("cam2"), Published(State.LIVE, START, 1))
        other = await at.client.get("/hls/live/cam2/index.m3u8")
        assert (other.status, other.json()["code"]) == (404, "hls_not_available")
        assert (await at.client.get("/hls/none/cam1/index.m3u8")).status == 404
        assert (await at.client.get("/hls/live/cam2/a_0.ts")).json()["code"] == "segment_gone"


@pytest.mark.parametrize(
    "path",
    [
        *("/hls/", "/hls/live", "/hls/live/cam1", "/hls/live/cam1/", "/hls//cam1/index.m3u8", "/hls/live/cam1/a/b"),
        *("/hls/live/cam1/..%2Findex.m3u8", "/hls/live/cam1/%2e%2e", "/hls/live/../app.db", "/hls/live/cam1/secret"),
        "/hls/live/cam1/%2Fetc%2Fpasswd",
    ],
)
async def test_path_when_it_is_none_of_the_lists_then_404(tmp_path: Path, path: str) -> None:
    async with site(tmp_path) as at:
        maker = await at.warm()
        (maker.start.folder / "secret").write_bytes(b"secret")
        assert (await at.client.get(path)).status == 404


async def test_container_when_ts_is_asked_then_it_is_a_list_of_its_own(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        maker = await at.warm(f"{PATH}?container=ts")
        assert maker.start.container == "ts"
        assert len(at.makers) == 1
        reply = await at.client.get(f"/hls/live/cam1/{maker.name(0)}")
        assert (reply.status, reply.headers["content-type"], reply.body) == (200, "video/mp2t", BODY)
        bad = await at.client.get(f"{PATH}?container=webm")
        assert (bad.status, bad.json()["fields"][0]["path"]) == (400, "container")


async def test_segment_when_asked_then_it_may_be_kept_for_ever(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        maker = await at.warm()
        reply = await at.client.get(f"/hls/live/cam1/{maker.name(0)}")
        assert (reply.status, reply.body) == (200, BODY)
        assert reply.headers == {
            "content-type": "video/mp4",
            "content-length": str(len(BODY)),
            "cache-control": "public, max-age=31536000, immutable",
            "etag": f'"{maker.name(0)}"',
            "accept-ranges": "bytes",
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "Content-Length, Content-Range, ETag",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }
        init = await at.client.get(f"/hls/live/cam1/{maker.init}")
        assert (init.status, init.headers["content-type"], init.body) == (200, "video/mp4", b"ftyp")
        head = await at.client.get(f"/hls/live/cam1/{maker.name(0)}", "HEAD")
        assert (head.head, at.client.data) == (reply.head, b"")
        known = await at.client.get(f"/hls/live/cam1/{maker.name(0)}", headers={"If-None-Match": reply.headers["etag"]})
        assert known.status == 304
        assert (await at.client.get("/hello")).body == b"hello"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        *(("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=2000-", 2000, 2048), ("bytes=-5", 2043, 2048)),
        *(("bytes=0-99999", 0, 2048), ("bytes=-99999", 0, 2048)),
    ],
)
async def test_segment_when_a_range_is_asked_then_that_part_comes(
    tmp_path: Path, asked: str, start: int, end: int
) -> None:
    async with site(tmp_path) as at:
        maker = await at.warm()
        reply = await at.client.get(f"/hls/live/cam1/{maker.name(0)}", headers={"Range": asked})
        assert (reply.status, reply.body) == (206, BODY[start:end])
        assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/2048"
        changed = {"Range": asked, "If-Range": '"other"'}
        assert (await at.client.get(f"/hls/live/cam1/{maker.name(0)}", headers=changed)).status == 200


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        *(("bytes=2048-", 416), ("bytes=-0", 416), ("bytes=9-2", 200), ("bytes=-", 200), ("bytes=0-1,4-5", 200)),
        *(("lines=1-2", 200), (f"bytes={'9' * 30}-", 200)),
    ],
)
async def test_segment_when_the_range_makes_no_sense_then_416_or_the_whole(
    tmp_path: Path, asked: str, status: int
) -> None:
    async with site(tmp_path) as at:
        maker = await at.warm()
        reply = await at.client.get(f"/hls/live/cam1/{maker.name(0)}", headers={"Range": asked})
        assert reply.status == status
        assert reply.headers.get("content-range") == ("bytes */2048" if status == 416 else None)
        assert (await at.client.get("/hello")).body == b"hello"


async def test_private_app_when_a_token_is_given_then_every_uri_carries_it_and_nothing_is_kept(tmp_path: Path) -> None:
    async with site(tmp_path, Authority(private=True)) as at:
        refused = await at.client.get(PATH)
        assert refused.status == 401
        assert at.makers == [], "who may not watch starts nothing"
        maker = await at.warm(f"{PATH}?token=good")
        reply = await at.client.get(f"{PATH}?token=good")
        assert reply.headers["cache-control"] == "private, no-store"
        uris = re.findall(r'(?:URI="|^)([^#"\n][^"\n]+)', reply.body.decode(), re.MULTILINE)
        assert uris == [f"{maker.init}?token=good", f"{maker.name(0)}?token=good"]
        for uri in uris:
            assert (await at.client.get(f"/hls/live/cam1/{uri.partition('?')[0]}")).status == 401
            assert (await at.client.get(f"/hls/live/cam1/{uri.partition('?')[0]}?token=bad")).status == 401
            found = await at.client.get(f"/hls/live/cam1/{uri}")
            assert (found.status, found.headers["cache-control"]) == (200, "private, no-store")
        at.media.authority.private = False
        public = await at.client.get(f"{PATH}?token=good")
        assert b"token" not in public.body


async def test_segment_when_it_is_read_then_the_lease_is_whole_again(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        maker = await at.warm()
        for _ in range(4):
            await trio.sleep(LEASE_S - 5)
            async with connect(at.media.port) as reader:  # one that were idle for so long would be closed
                assert (await reader.get(f"/hls/live/cam1/{maker.name(0)}")).status == 200
        assert maker.stream.served
        await trio.sleep(LEASE_S + 1)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not maker.stream.served
        async with connect(at.media.port) as at.client:
            assert (await at.client.get(f"/hls/live/cam1/{maker.name(0)}")).status == 404
            await at.warm()
        assert len(at.makers) == 2


async def test_segment_when_its_reader_takes_nothing_then_only_that_one_is_cut(tmp_path: Path) -> None:
    async with site(tmp_path) as at, connect(at.media.port) as stuck:
        maker = await at.warm()
        big = await maker.make(bytes(64 * 1024 * 1024))
        await stuck.ask(f"/hls/live/cam1/{big}")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await at.client.get(f"/hls/live/cam1/{maker.name(0)}")).body == BODY
        await trio.sleep(STALLED_S + 1)
        read = 0
        while await stuck.more():
            read, stuck.data = read + len(stuck.data), b""
        assert 0 < read < 64 * 1024 * 1024


async def test_request_when_it_is_neither_get_nor_head_then_only_a_preflight_is_answered(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        preflight = await at.client.get(PATH, "OPTIONS")
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert preflight.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        refused = await at.client.get(PATH, "POST")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
        assert at.makers == []
