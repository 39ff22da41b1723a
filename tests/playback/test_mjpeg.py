from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
import trio
import trio.testing

from streamhub.model.access import ViewerLimits, ViewGrant
from streamhub.model.streams import Published, State
from streamhub.rooms.silent import MOST_INPUT_BYTES
from tests.playback.scene import scene, source, wall
from tests.support.media import Authority, jpeg, room_key
from tests.support.peer import connect
from tests.support.waiting import eventually

PATH = "/live/live/cam1/mjpeg"
HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\n"
    b"Cache-Control: no-store, no-cache, must-revalidate\r\n"
    b"Pragma: no-cache\r\n"
    b"Connection: close\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Access-Control-Expose-Headers: X-Stream-State\r\n"
    b"X-Accel-Buffering: no\r\n"
    b"X-Stream-State: live\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Referrer-Policy: no-referrer\r\n"
    b"\r\n"
)


async def test_mjpeg_when_the_camera_is_live_then_every_byte_is_as_the_contract_says() -> None:
    one, two = jpeg(1), jpeg(2)
    async with scene() as media, source(media) as camera, connect(media.port) as viewer:
        await camera.show(one)
        await viewer.ask(PATH)
        first = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n--frame\r\n" % (len(one), one)
        wanted = HEAD + b"--frame\r\n" + first
        assert await viewer.exactly(len(wanted)) == wanted  # with the next boundary line, before there is a next part
        await camera.show(two)
        second = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n--frame\r\n" % (len(two), two)
        assert await viewer.exactly(len(second)) == second
        assert viewer.data == b""


async def test_mjpeg_when_many_watch_then_each_gets_each_picture() -> None:
    async with scene() as media, source(media) as camera, trio.open_nursery() as nursery:
        await camera.show(jpeg(0))
        got: list[list[bytes]] = []

        async def watch(*, task_status: trio.TaskStatus[None]) -> None:
            async with connect(media.port) as viewer:
                await viewer.watch(PATH)
                mine = [await viewer.part()]
                task_status.started()
                mine.extend([await viewer.part() for _ in range(10)])
                got.append(mine)

        for _ in range(12):
            await nursery.start(watch)
        for n in range(1, 11):
            await trio.testing.wait_all_tasks_blocked()
            await camera.show(jpeg(n))
        await eventually(lambda: len(got) == 12)
    assert got == [[jpeg(n) for n in range(11)]] * 12


async def test_mjpeg_when_only_livekit_has_publishers_then_it_is_live_and_the_placeholder_says_how() -> None:
    async with scene() as media:
        media.hub.publishing(room_key("cam1"), Published(State.LIVE, wall(), 1))
        async with connect(media.port) as one, connect(media.port) as other:
            head = await one.get("/live/live/cam1/mjpeg", "HEAD")
            reply = await other.watch("/live/live/cam1/mjpeg")
            assert head.headers["x-stream-state"] == reply.headers["x-stream-state"] == "live"
            live = await other.part()
            media.hub.publishing(room_key("cam1"), None)
            assert await other.part() != live


async def test_mjpeg_when_the_room_is_offline_then_the_placeholder_comes_at_once_and_every_five_seconds() -> None:
    async with scene() as media, connect(media.port) as viewer:
        reply = await viewer.watch("/live/live/never/mjpeg")
        assert reply.headers["x-stream-state"] == "offline"
        picture = await viewer.part()
        assert picture.startswith(b"\xff\xd8")
        for _ in range(3):
            before = trio.current_time()
            assert await viewer.part() == picture
            assert trio.current_time() - before == pytest.approx(5, abs=0.1)


async def test_mjpeg_when_the_camera_goes_and_comes_back_then_the_stream_goes_on_with_what_is_true() -> None:
    async with scene() as media, connect(media.port) as viewer:
        async with source(media) as camera:
            await camera.show(jpeg(1))
            await viewer.watch(PATH)
            assert await viewer.part() == jpeg(1)
            stale = await viewer.part()
            assert trio.current_time() == pytest.approx(3, abs=0.1)
            await camera.show(jpeg(2))
            assert await viewer.part() == jpeg(2)
        offline = await viewer.part()
        assert len({stale, offline, jpeg(1), jpeg(2)}) == 4
        async with source(media) as camera:
            connecting = await viewer.part()
            await camera.show(jpeg(3))
            assert await viewer.part() == jpeg(3)
        assert connecting not in (stale, offline)


async def test_mjpeg_when_asked_by_head_then_the_head_comes_and_the_connection_closes() -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as viewer:
        await camera.show(jpeg(1))
        await viewer.ask(PATH, "HEAD")
        assert await viewer.exactly(len(HEAD)) == HEAD
        assert await viewer.ended()
        assert media.hub.status(room_key()).viewers == {"mjpeg": 0, "ws": 0, "hls": 0}  # type: ignore[union-attr]


@pytest.mark.parametrize(("asked", "least", "most"), [("5", 24, 26), ("0.5", 2, 4), ("240", 98, 101), ("", 98, 101)])
async def test_mjpeg_when_a_rate_is_asked_then_pictures_come_at_it(asked: str, least: int, most: int) -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as viewer:
        await camera.show(jpeg())
        await viewer.watch(f"{PATH}?fps={asked}&t=123")
        seen = [await viewer.part()]
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                while True:
                    seen.append(await viewer.part())

            nursery.start_soon(read)
            for n in range(1, 100):
                await trio.sleep(0.05)
                await camera.show(jpeg(pad=n))
            nursery.cancel_scope.cancel()
        order = [len(picture) for picture in seen]
        assert least <= len(seen) <= most
        assert order == sorted(set(order))


@pytest.mark.parametrize("asked", ["0", "-1", "abc", "nan", "inf", "241", "1e999", "١٢٣٤"])
async def test_mjpeg_when_the_rate_is_nonsense_then_the_field_is_named(asked: str) -> None:
    async with scene() as media, connect(media.port) as viewer:
        reply = await viewer.get(f"{PATH}?fps={quote(asked)}")
        assert reply.status == 400
        assert reply.json()["code"] == "validation_failed"
        assert [f["path"] for f in reply.json()["fields"]] == ["fps"]
        assert (await viewer.get("/live/live/cam1/frame.jpg")).status == 503  # the connection goes on


async def test_mjpeg_when_the_room_has_its_most_viewers_then_the_next_is_refused_until_one_leaves() -> None:
    async with scene(Authority(viewer_limits=ViewerLimits(per_room=1))) as media, connect(media.port) as late:
        async with connect(media.port) as early:
            await early.watch(PATH)
            await early.part()
            reply = await late.get(PATH)
            assert (reply.status, reply.json()["code"]) == (429, "too_many_viewers")
            assert int(reply.headers["retry-after"]) > 0
            assert "maxViewersPerRoom" in reply.json()["hint"]
            async with connect(media.port) as elsewhere:
                assert (await elsewhere.watch("/live/live/cam2/mjpeg")).status == 200
        await trio.sleep(0.1)
        assert (await late.watch(PATH)).status == 200


async def test_mjpeg_when_a_crowd_comes_at_once_then_no_more_than_the_apps_cap_get_in() -> None:
    async with scene(Authority(viewer_limits=ViewerLimits(per_app=5))) as media, trio.open_nursery() as nursery:
        statuses: list[int] = []

        async def come(n: int) -> None:
            async with connect(media.port) as viewer:
                statuses.append((await viewer.watch(f"/live/live/cam{n % 4}/mjpeg")).status)
                await trio.sleep_forever()

        for n in range(30):
            nursery.start_soon(come, n)
        await eventually(lambda: len(statuses) == 30)
        assert sorted(statuses) == [200] * 5 + [429] * 25
        nursery.cancel_scope.cancel()


async def test_mjpeg_when_the_app_is_private_then_a_token_is_needed() -> None:
    async with scene(Authority(private=True)) as media, connect(media.port) as viewer:
        reply = await viewer.get(PATH)
        assert (reply.status, reply.json()["message"]) == (401, "play token required")
        assert reply.json()["code"] == "unauthorized"
        assert (await viewer.get(f"{PATH}?token=bad")).status == 401
        assert media.hub.statuses() == []
        assert (await viewer.watch(f"{PATH}?token=good")).status == 200


async def test_mjpeg_when_the_grant_ends_then_so_does_the_stream() -> None:
    class Expiring(Authority):
        async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
            await trio.lowlevel.checkpoint()
            return ViewGrant(room_key(room), self.viewer_limits, wall() + timedelta(seconds=12))

    async with scene(Expiring()) as media, connect(media.port) as viewer:
        await viewer.watch(PATH)
        for _ in range(3):
            await viewer.part()
        assert await viewer.ended()
        assert trio.current_time() == pytest.approx(12, abs=0.1)
        assert media.hub.statuses() == []


async def test_mjpeg_when_the_app_is_unknown_then_it_is_not_found() -> None:
    async with scene() as media, connect(media.port) as viewer:
        reply = await viewer.get("/live/nosuch/cam1/mjpeg")
        assert (reply.status, reply.json()["statusCode"], reply.json()["error"]) == (404, 404, "Not Found")
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "target",
    [
        "/live//cam1/mjpeg",
        "/live/live//mjpeg",
        "/live/mjpeg",
        "/live/live/mjpeg",
        "/live/live/a/b/mjpeg",
        "/live/live%2Fcam1/mjpeg",
        "/live/live/cam1/x/frame.jpg",
        "/live/frame.jpg",
    ],
)
async def test_playback_when_the_path_is_impossible_then_it_is_not_found(target: str) -> None:
    async with scene() as media, connect(media.port) as viewer:
        reply = await viewer.get(target)
        assert (reply.status, reply.json()["message"]) == (404, "no such path")
        assert media.hub.statuses() == []


@pytest.mark.parametrize("name", ["cam1", "cam%31", "%63am1", "live-cam1"])
async def test_mjpeg_when_the_room_is_spelled_otherwise_then_it_is_the_same_room(name: str) -> None:
    async with scene() as media, source(media) as camera, connect(media.port) as viewer:
        await camera.show(jpeg(9))
        await viewer.watch(f"/live/live/{name}/mjpeg")
        assert await viewer.part() == jpeg(9)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "TRACE"])
@pytest.mark.parametrize("what", ["mjpeg", "frame.jpg"])
async def test_playback_when_the_method_is_another_then_the_allowed_ones_are_told(method: str, what: str) -> None:
    async with scene() as media, connect(media.port) as viewer:
        reply = await viewer.get(f"/live/live/cam1/{what}", method)
        assert (reply.status, reply.json()["code"]) == (405, "method_not_allowed")
        assert reply.headers["allow"] == "GET, HEAD"
        assert (await viewer.get("/hello")).body == b"hello"


async def test_playback_when_the_request_has_a_body_then_the_answer_arrives_all_the_same() -> None:
    async with scene() as media, connect(media.port) as viewer:
        body = bytes(300_000)
        await viewer.ask(PATH, "POST", {"Content-Length": str(len(body))}, body)
        reply = await viewer.reply()
        assert reply.status == 405
        assert reply.headers["connection"] == "close"
        assert await viewer.ended()


async def test_mjpeg_when_the_viewer_leaves_then_nothing_of_it_is_left() -> None:
    async with scene() as media:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with connect(media.port) as viewer:
            await viewer.watch(PATH)
            await viewer.part()
            assert len(media.hub.statuses()) == 1
            assert media.front.connections == 0  # it is the room's
        await trio.sleep(0.1)
        assert media.hub.statuses() == []
        assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_mjpeg_when_the_viewer_talks_without_end_then_it_is_dropped() -> None:
    async with scene() as media, connect(media.port) as viewer:
        await viewer.watch(PATH)
        await viewer.send(b"x" * MOST_INPUT_BYTES)
        await viewer.part()
        await trio.sleep(0.1)
        assert len(media.hub.statuses()) == 1
        await viewer.send(b"x" * 5000)
        await trio.sleep(0.1)
        assert media.hub.statuses() == []


async def test_mjpeg_when_the_server_stops_then_the_stream_ends() -> None:
    async with scene() as media:
        async with connect(media.port) as viewer:
            await viewer.watch(PATH)
            await viewer.part()
            await media.hub.shutdown(1)
            assert await viewer.ended()
        async with connect(media.port) as late:
            reply = await late.get(PATH)
            assert (reply.status, reply.json()["code"]) == (503, "stopping")
            assert "retry-after" in reply.headers


async def test_mjpeg_when_the_authority_does_not_answer_then_it_is_unavailable_in_time() -> None:
    class Slow(Authority):
        async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
            await trio.sleep_forever()
            raise AssertionError

    async with scene(Slow()) as media, connect(media.port) as viewer:
        reply = await viewer.get(PATH)
        assert (reply.status, reply.json()["code"]) == (503, "too_busy")
        assert int(reply.headers["retry-after"]) > 0
        assert trio.current_time() == pytest.approx(10, abs=0.1)
