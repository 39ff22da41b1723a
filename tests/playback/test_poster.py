from __future__ import annotations

import io
from datetime import timedelta

import attrs
import pytest
from PIL import Image, ImageStat

from streamhub.playback.placeholder import draw_past
from streamhub.playback.poster import Dated
from streamhub.rooms.posters import Poster
from tests.playback.scene import START, scene, source
from tests.support.media import APP, Authority, Media, jpeg
from tests.support.peer import connect

PATH = "/live/live/cam1/poster.jpg"
RAW = f"{PATH}?overlay=0"
PICTURE = jpeg(200, size=(320, 240))


async def inline(poster: Poster) -> bytes | None:
    """As the real one without its thread: one that is waited for counts as idle for a clock that jumps."""
    return draw_past(poster.jpeg, poster.taken_at)


def drawn_inline(media: Media, monkeypatch: pytest.MonkeyPatch) -> None:
    route = media.front.route
    door = attrs.evolve(route("GET", PATH, False), dated=inline)  # type: ignore[arg-type]
    monkeypatch.setattr(media.front, "route", lambda m, p, u: door if p.endswith("poster.jpg") else route(m, p, u))


async def test_poster_when_there_was_a_picture_then_it_comes_with_its_time_also_after_the_camera(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene() as media, connect(media.port) as client:
        drawn_inline(media, monkeypatch)
        none = await client.get(PATH)
        assert (none.status, none.body, none.headers["x-stream-state"]) == (204, b"", "offline")
        assert media.hub.statuses() == []  # asking opens no room
        async with source(media) as camera:
            await camera.show(PICTURE)
            live = await client.get(RAW)
            assert (live.status, live.body, live.headers["x-stream-state"]) == (200, PICTURE, "live")
        gone = await client.get(RAW)
        assert (gone.status, gone.body) == (200, PICTURE)
        assert gone.headers == {
            "content-type": "image/jpeg",
            "content-length": str(len(PICTURE)),
            "last-modified": "Thu, 01 Jan 2026 12:00:00 GMT",
            "x-picture-taken": "2026-01-01T12:00:00.400Z",
            "cache-control": "no-store",
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "X-Stream-State, X-Picture-Taken, Last-Modified",
            "x-stream-state": "offline",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }
        assert (await client.get("/live/live/cam1/frame.jpg")).status == 503, "it is no live picture"
        head = await client.get(RAW, "HEAD")
        assert (head.head, client.data) == (gone.head, b"")
        dated = await client.get(PATH)
        assert dated.status == 200
        image, before = (Image.open(io.BytesIO(body)) for body in (dated.body, PICTURE))
        assert image.size == before.size
        assert max(ImageStat.Stat(image.convert("HSV")).mean[1:2]) < 30, "grey"
        assert ImageStat.Stat(image).mean[0] < ImageStat.Stat(before.convert("L")).mean[0]
        assert (await client.get(f"{PATH}?overlay=no")).json()["fields"][0]["path"] == "overlay"
        assert (await client.get(PATH, "POST")).status == 405


async def test_poster_when_the_app_is_private_then_it_takes_the_token_and_goes_with_the_app() -> None:
    async with scene(Authority(private=True)) as media, connect(media.port) as client:
        async with source(media) as camera:
            await camera.show(PICTURE)
        assert (await client.get(RAW)).status == 401
        assert (await client.get(f"{RAW}&token=bad")).status == 401
        assert (await client.get(f"{RAW}&token=good")).body == PICTURE
        assert (await client.get("/live/none/cam1/poster.jpg")).status == 404
        await media.hub.end_app(APP, None)  # type: ignore[arg-type]
        assert (await client.get(f"{RAW}&token=good")).status == 204


@pytest.mark.parametrize("bytes_", [b"\xff\xd8\xff\xd9", b"GIF89a" + bytes(20), PICTURE[:300]])
async def test_poster_when_the_picture_cannot_be_decoded_then_there_is_none(
    bytes_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene() as media, connect(media.port) as client:
        drawn_inline(media, monkeypatch)
        async with source(media) as camera:
            await camera.show(bytes_)
        assert (await client.get(PATH)).status == 204


async def test_dated_when_asked_for_the_same_then_it_is_drawn_once() -> None:
    dated = Dated()
    one = await dated(Poster(PICTURE, START))
    assert one is not None
    assert await dated(Poster(PICTURE, START)) is one
    assert await dated(Poster(PICTURE, START + timedelta(days=1))) != one
