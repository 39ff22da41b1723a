from __future__ import annotations

import io
import re
from datetime import timedelta

import attrs
import pytest
import trio
from PIL import Image

from streamhub.model.streams import Published, State
from streamhub.playback.frame import RETRY_AFTER_S, FrameDoor
from tests.playback.scene import START, scene, source
from tests.support.media import Authority, jpeg, room_key
from tests.support.peer import HttpPeer, connect

PATH = "/live/live/cam1/frame.jpg"


async def test_frame_when_the_camera_is_live_then_the_newest_picture_comes_with_its_time_and_tag() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        await camera.show(jpeg(2))
        reply = await client.get(PATH)
        assert (reply.status, reply.body) == (200, jpeg(2))
        assert reply.headers == {
            "content-type": "image/jpeg",
            "content-length": str(len(jpeg(2))),
            "cache-control": "no-store, no-cache, must-revalidate",
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "X-Stream-State, ETag, Last-Modified",
            "x-stream-state": "live",
            "etag": reply.headers["etag"],
            "last-modified": "Thu, 01 Jan 2026 12:00:00 GMT",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }
        assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', reply.headers["etag"])


async def test_frame_when_asked_by_head_then_there_is_everything_but_the_body() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        head = await client.get(PATH, "HEAD")
        assert client.data == b""
        full = await client.get(PATH)
        assert head.head == full.head
        offline = await client.get("/live/live/cam2/frame.jpg", "HEAD")
        assert offline.status == 503
        assert client.data == b""
        missing = await client.get("/live/none/cam1/frame.jpg", "HEAD")
        assert missing.status == 404
        assert int(missing.headers["content-length"]) > 0
        assert (await client.get("/hello")).body == b"hello"


async def test_frame_when_only_livekit_has_publishers_then_503_of_a_live_room() -> None:
    async with scene() as media, connect(media.port) as client:
        media.last_seen[room_key("cam1")] = START
        media.hub.publishing(room_key("cam1"), Published(State.LIVE, START, 2))
        live = await client.get(PATH)
        assert (live.status, live.headers["x-stream-state"]) == (503, "live")
        media.hub.publishing(room_key("cam1"), None)
        gone = await client.get(PATH)
        assert (gone.status, gone.headers["x-stream-state"]) == (503, "offline")
        assert gone.body != live.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": "{tag}"}, 304),
        ({"If-None-Match": "W/{tag}"}, 304),
        ({"If-None-Match": '"other", {tag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": ""}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "Thu, 01 Jan 2026 12:00:01 GMT"}, 304),
        ({"If-Modified-Since": "Thu, 01 Jan 2026 11:59:59 GMT"}, 200),
        # Whole seconds cannot tell two pictures of one second apart: the same second is no match.
        ({"If-Modified-Since": "Thu, 01 Jan 2026 12:00:00 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "Thu, 01 Jan 2026 12:00:01 -0000"}, 200),
    ],
)
async def test_frame_when_the_request_is_conditional_then_it_is_answered_by_rfc_9110(
    headers: dict[str, str], status: int
) -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        tag = (await client.get(PATH)).headers["etag"]
        reply = await client.get(PATH, headers={k: v.replace("{tag}", tag) for k, v in headers.items()})
        assert reply.status == status
        assert reply.headers["etag"] == tag
        assert reply.body == (b"" if status == 304 else jpeg(1))
        await camera.show(jpeg(1))  # the same bytes, another picture
        assert (await client.get(PATH, headers={"If-None-Match": tag})).status == 200


async def test_frame_when_the_camera_comes_back_then_the_tag_is_new() -> None:
    async with scene() as media, connect(media.port) as client:
        tags = []
        for _ in range(2):
            async with source(media) as camera:
                await camera.show(jpeg(1))
                tags.append((await client.get(PATH)).headers["etag"])
            await trio.sleep(1)
        assert tags[0] != tags[1]


async def test_frame_when_it_is_older_than_asked_then_it_counts_as_none() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        await trio.sleep(2)
        assert (await client.get(f"{PATH}?max_age=1")).status == 503
        assert (await client.get(f"{PATH}?max_age=2.5")).status == 200
        assert (await client.get(f"{PATH}?max_age=")).status == 200
        assert (await client.get(f"{PATH}?max_age=0")).status == 503
        await camera.show(jpeg(2))
        assert (await client.get(f"{PATH}?max_age=0")).status == 200


@pytest.mark.parametrize("asked", ["-1", "x", "nan", "inf", "86401"])
async def test_frame_when_the_age_is_nonsense_then_the_field_is_named(asked: str) -> None:
    async with scene() as media, connect(media.port) as client:
        reply = await client.get(f"{PATH}?max_age={asked}")
        assert (reply.status, [f["path"] for f in reply.json()["fields"]]) == (400, ["max_age"])


def check_placeholder(reply_body: bytes) -> None:
    image = Image.open(io.BytesIO(reply_body))
    image.load()
    assert image.size == (160, 120)


async def test_frame_when_there_is_no_live_picture_then_it_says_so_with_a_placeholder() -> None:
    async with scene() as media, connect(media.port) as client:

        async def refused(state: str) -> None:
            reply = await client.get(PATH)
            assert reply.status == 503
            assert reply.headers["x-stream-state"] == state
            assert reply.headers["retry-after"] == str(RETRY_AFTER_S)
            assert reply.headers["content-type"] == "image/jpeg"
            assert reply.headers["cache-control"] == "no-store"
            assert reply.headers["access-control-allow-origin"] == "*"
            assert "etag" not in reply.headers
            check_placeholder(reply.body)

        await refused("offline")
        assert media.hub.statuses() == []  # asking opens no room
        async with source(media) as camera:
            await refused("connecting")
            await camera.show(jpeg(1))
            await trio.sleep(3.5)
            await refused("stale")
            async with connect(media.port) as viewer:  # that keeps the room in memory
                await viewer.watch("/live/live/cam1/mjpeg")
                await viewer.part()
                await refused("stale")
        await refused("offline")


async def test_frame_when_the_room_was_seen_before_then_the_placeholder_says_since_when() -> None:
    async with scene() as media, connect(media.port) as client:
        before = (await client.get(PATH)).body
        media.last_seen[room_key()] = START - timedelta(days=1)
        assert (await client.get(PATH)).body != before


@pytest.mark.parametrize("part", ["last_seen", "placeholder"])
async def test_frame_when_the_server_cannot_keep_up_then_it_says_so_in_time(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_args: object) -> None:
        await trio.sleep_forever()

    async with scene() as media:
        door = media.front.route("GET", PATH, False)
        assert isinstance(door, FrameDoor)
        slow = attrs.evolve(door, **{part: never})  # type: ignore[arg-type]
        monkeypatch.setattr(media.front, "route", lambda *_: slow)
        async with connect(media.port) as client:
            reply = await client.get(PATH)
        assert (reply.status, reply.json()["code"]) == (503, "too_busy")
        assert trio.current_time() == pytest.approx(10, abs=0.1)


async def poll(client: HttpPeer, count: int) -> None:
    for _ in range(count):
        reply = await client.get(PATH)
        assert (reply.status, reply.body) == (200, jpeg(1))


async def test_connection_when_kept_alive_then_snapshots_pages_and_at_last_a_stream_go_over_it() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        await poll(client, 60)
        for _ in range(10):
            assert (await client.get("/hello")).body == b"hello"
            await poll(client, 2)
        assert media.front.connections == 1
        await client.watch("/live/live/cam1/mjpeg")
        assert await client.part() == jpeg(1)
        assert media.front.connections == 0


async def test_connection_when_requests_are_pipelined_then_all_are_answered_in_order() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        paths = [PATH, "/hello", "/live/live/cam2/frame.jpg", PATH, "/live/none/x/frame.jpg", "/hello", PATH]
        await client.send(b"".join(f"GET {p} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for p in paths))
        replies = [await client.reply() for _ in paths]
        assert [r.status for r in replies] == [200, 200, 503, 200, 404, 200, 200]
        assert [len(r.body) for r in replies[:2]] == [len(jpeg(1)), 5]


async def test_connection_when_a_stream_is_pipelined_then_what_follows_it_is_ignored() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        await client.send(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\nGET /live/live/cam1/mjpeg HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert (await client.reply()).body == jpeg(1)
        assert (await client.reply(bodyless=True)).headers["content-type"].startswith("multipart/")
        assert await client.exactly(9) == b"--frame\r\n"
        assert await client.part() == jpeg(1)
        await camera.show(jpeg(2))
        assert await client.part() == jpeg(2)


@pytest.mark.parametrize(
    "request_bytes",
    [
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: te, Close\r\n\r\n",
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: te\r\nConnection: close\r\n\r\n",
        f"GET {PATH} HTTP/1.0\r\nHost: x\r\n\r\n",
        f"GET {PATH} HTTP/1.0\r\n\r\n",
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_connection_when_the_client_cannot_go_on_then_it_is_told_so_and_closed(request_bytes: str) -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        await client.send(request_bytes.encode())
        reply = await client.reply()
        assert (reply.status, reply.body) == (200, jpeg(1))
        assert reply.headers["connection"] == "close"
        assert await client.ended()
        assert trio.current_time() < 2  # not by the keep-alive time-out


async def test_frame_when_the_app_is_private_or_unknown_then_it_is_refused() -> None:
    async with scene(Authority(private=True)) as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(1))
        assert (await client.get(PATH)).status == 401
        assert (await client.get(f"{PATH}?token=good")).body == jpeg(1)
        assert (await client.get("/live/none/cam1/frame.jpg")).status == 404


async def test_frame_when_the_client_does_not_take_the_answer_then_the_connection_is_cut_in_time() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as client:
        await camera.show(jpeg(pad=8_000_000))
        await client.ask(PATH)
        await trio.sleep(9)
        assert media.front.connections == 1
        await camera.show(jpeg(1))
        await trio.sleep(2)
        assert media.front.connections == 0
