from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection

from streamhub.errors import Unauthorized
from streamhub.model.access import ViewerLimits, ViewGrant
from streamhub.model.streams import Published, State
from tests.playback.scene import scene, source, wall
from tests.support.media import Authority, Media, jpeg, room_key
from tests.support.peer import HttpPeer, connect
from tests.support.server import open_socket

PATH = "/live/ws?app=live&room=cam1"
SHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def next_message(socket: WebSocketConnection) -> str | bytes:
    with trio.fail_after(60):
        return await socket.get_message()


async def next_state(socket: WebSocketConnection) -> tuple[str, str | None]:
    message = json.loads(await next_message(socket))
    assert set(message) == {"type", "state", "since", "camera", "publishers", "hls"}
    assert message["type"] == "state"
    return message["state"], message["since"]


@asynccontextmanager
async def raw_socket(media: Media, path: str = PATH) -> AsyncIterator[HttpPeer]:
    """A viewer socket that does nothing by itself: no pongs, no closes."""
    async with connect(media.port) as peer:
        await peer.ask(path, headers=SHAKE)
        reply = await peer.reply(bodyless=True)
        assert reply.status == 101
        assert reply.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        yield peer


async def frame(peer: HttpPeer) -> tuple[int, bytes]:
    """The next frame: (opcode, payload), checked to be whole and unmasked."""
    first, length = await peer.exactly(2)
    assert first & 0xF0 == 0x80
    assert length < 128
    if length == 126:
        length = int.from_bytes(await peer.exactly(2), "big")
    elif length == 127:
        length = int.from_bytes(await peer.exactly(8), "big")
    return first & 0x0F, await peer.exactly(length)


def masked(opcode: int, payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


async def test_socket_when_the_room_is_offline_then_the_state_comes_before_the_placeholder() -> None:
    async with scene() as media, open_socket(media.port, PATH) as socket:
        assert await next_state(socket) == ("offline", None)
        picture = await next_message(socket)
        assert isinstance(picture, bytes)
        assert picture.startswith(b"\xff\xd8")
        before = trio.current_time()
        assert await next_message(socket) == picture
        assert trio.current_time() - before == pytest.approx(5, abs=0.1)


async def test_socket_when_the_state_changes_then_each_change_comes_before_its_pictures() -> None:
    async with scene() as media, open_socket(media.port, PATH) as socket:
        assert (await next_state(socket))[0] == "offline"
        await next_message(socket)
        async with source(media) as camera:
            assert await next_state(socket) == ("connecting", "2026-01-01T12:00:00.400Z")
            await next_message(socket)
            await trio.sleep(1)
            await camera.show(jpeg(1))
            state, since = await next_state(socket)
            assert state == "live"
            assert since is not None
            assert since.startswith("2026-01-01T12:00:01.")
            assert await next_message(socket) == jpeg(1)
            assert (await next_state(socket))[0] == "stale"
            assert isinstance(await next_message(socket), bytes)
            await camera.show(jpeg(2))
            assert (await next_state(socket))[0] == "live"
            assert await next_message(socket) == jpeg(2)
        assert (await next_state(socket))[0] == "offline"


async def test_socket_when_livekits_publishers_change_then_it_is_told_and_a_camera_comes_first() -> None:
    key, since = room_key("cam1"), wall()

    async def told(socket: WebSocketConnection) -> tuple[object, ...]:
        while not isinstance(message := await next_message(socket), str):
            pass
        found = json.loads(message)
        return found["state"], found["camera"], found["publishers"]

    async with scene() as media:
        media.hub.publishing(key, Published(State.LIVE, since, 1))  # nobody watches yet
        async with open_socket(media.port, PATH) as socket:
            assert await told(socket) == ("live", None, 1)
            media.hub.publishing(key, Published(State.LIVE, since, 2))
            assert await told(socket) == ("live", None, 2)
            media.hub.publishing(key, Published(State.STALE, since, 2))
            assert await told(socket) == ("stale", None, 2)
            async with source(media):
                assert await told(socket) == ("connecting", {"state": "connecting", "participant": "one"}, 2)
            assert await told(socket) == ("stale", None, 2)
            media.hub.publishing(key, None)
            assert await told(socket) == ("offline", None, 0)
        media.hub.publishing(key, Published(State.LIVE, since, 1))
        media.hub.publishing(key, None)
        async with open_socket(media.port, PATH) as socket:
            assert (await told(socket))[0] == "offline"


@pytest.mark.parametrize("size", [100, 125, 126, 65_535, 65_536, 200_000])
async def test_socket_when_pictures_have_any_size_then_each_is_one_binary_message(size: int) -> None:
    picture = b"\xff\xd8" + bytes(size - 2)
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg(1))
        async with open_socket(media.port, PATH) as socket:
            await next_state(socket)
            assert await next_message(socket) == jpeg(1)
            await camera.show(picture)
            assert await next_message(socket) == picture


async def test_socket_when_a_rate_is_asked_then_pictures_come_at_it() -> None:
    seen: list[str | bytes] = []
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg())
        async with open_socket(media.port, f"{PATH}&fps=2") as socket, trio.open_nursery() as nursery:

            async def read() -> None:
                while True:
                    seen.append(await next_message(socket))

            nursery.start_soon(read)
            for n in range(1, 61):
                await trio.sleep(0.1)
                await camera.show(jpeg(pad=n))
            nursery.cancel_scope.cancel()
    assert 12 <= len(seen) - 1 <= 14
    assert isinstance(seen[0], str)


class Refusing(Authority):
    error: Exception

    async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
        await trio.lowlevel.checkpoint()
        raise self.error


@pytest.mark.parametrize(
    ("path", "authority", "code", "word"),
    [
        ("/live/ws", Authority(), 4401, "invalid_params"),
        ("/live/ws?app=live", Authority(), 4401, "invalid_params"),
        ("/live/ws?app=&room=x", Authority(), 4401, "invalid_params"),
        (f"{PATH}&fps=0", Authority(), 4401, "invalid_params"),
        ("/live/ws?app=none&room=cam1", Authority(), 4401, "unknown_app"),
        (PATH, Authority(private=True), 4401, "playback_unauthorized"),
        (f"{PATH}&token=bad", Authority(private=True), 4401, "playback_unauthorized"),
    ],
)
async def test_socket_when_it_is_refused_then_text_and_close_say_why(
    path: str, authority: Authority, code: int, word: str
) -> None:
    async with scene(authority) as media, open_socket(media.port, path) as socket:
        assert json.loads(await next_message(socket)) == {"type": "error", "code": str(code), "message": word}
        with pytest.raises(ConnectionClosed) as caught:
            await next_message(socket)
        assert caught.value.reason is not None
        assert (caught.value.reason.code, caught.value.reason.reason) == (code, word)
        assert media.hub.statuses() == []


async def test_socket_when_there_are_too_many_viewers_then_it_is_told_so() -> None:
    async with scene(Authority(viewer_limits=ViewerLimits(per_room=1))) as media:
        async with open_socket(media.port, PATH) as first, open_socket(media.port, PATH) as second:
            await next_state(first)
            assert json.loads(await next_message(second))["message"] == "too_many_viewers"
        await trio.sleep(0.1)
        async with open_socket(media.port, PATH) as third:
            assert (await next_state(third))[0] == "offline"


async def test_socket_when_the_token_is_good_then_it_is_let_in() -> None:
    async with scene(Authority(private=True)) as media, open_socket(media.port, f"{PATH}&token=good") as socket:
        assert (await next_state(socket))[0] == "offline"


async def test_socket_when_the_authority_fails_then_the_viewer_is_told_to_come_back() -> None:
    class Slow(Authority):
        async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
            await trio.sleep_forever()
            raise Unauthorized("never")

    async with scene(Slow()) as media, raw_socket(media) as peer:
        assert json.loads((await frame(peer))[1])["code"] == "1013"
        opcode, payload = await frame(peer)
        assert (opcode, int.from_bytes(payload[:2], "big")) == (8, 1013)
        assert await peer.ended()


async def test_socket_when_the_client_talks_then_it_is_ignored() -> None:
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg(1))
        async with open_socket(media.port, PATH) as socket:
            await next_state(socket)
            await next_message(socket)
            await socket.send_message("hello")
            await socket.send_message(b"\xff\xd8 not for you")
            with trio.fail_after(5):
                await socket.ping(b"are you there")  # returns when it is answered
            await camera.show(jpeg(2))
            assert await next_message(socket) == jpeg(2)


async def test_socket_when_bytes_come_with_the_upgrade_then_they_are_understood() -> None:
    async with scene() as media, connect(media.port) as peer:
        head = "".join(f"{k}: {v}\r\n" for k, v in SHAKE.items())
        await peer.send(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + masked(9, b"early"))
        await peer.reply(bodyless=True)
        found = [await frame(peer) for _ in range(3)]
        assert (10, b"early") in found


async def test_socket_when_the_client_closes_then_it_is_answered_and_nothing_is_left() -> None:
    async with scene() as media:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with raw_socket(media) as peer:
            await frame(peer)
            await frame(peer)
            await peer.send(masked(8, (1000).to_bytes(2, "big") + b"bye"))
            opcode, payload = await frame(peer)
            assert (opcode, payload[:2]) == (8, (1000).to_bytes(2, "big"))
            assert await peer.ended()
        await trio.sleep(0.1)
        assert media.hub.statuses() == []
        assert trio.lowlevel.current_statistics().tasks_living == tasks


@pytest.mark.parametrize("leave", ["by end", "by reset", "by nonsense", "by unmasked data", "by too much"])
async def test_socket_when_the_client_goes_rudely_then_nothing_is_left(leave: str) -> None:
    async with scene() as media:
        async with raw_socket(media) as peer:
            await frame(peer)
            await frame(peer)
            if leave == "by end":
                await peer.stream.send_eof()  # type: ignore[attr-defined]
            elif leave == "by nonsense":
                await peer.send(b"GET / HTTP/1.1\r\n\r\n")
            elif leave == "by unmasked data":
                await peer.send(b"\x81\x05hello")
            elif leave == "by too much":
                await peer.send(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4))
            if leave == "by reset":
                await trio.aclose_forcefully(peer.stream)
            else:
                while await peer.more():
                    pass
                if leave != "by end":
                    code = {"by too much": 1009}.get(leave, 1002)
                    assert code.to_bytes(2, "big") in peer.data
        await trio.sleep(0.1)
        assert media.hub.statuses() == []


async def test_socket_when_pings_are_answered_then_it_stays_and_when_not_then_it_goes() -> None:
    async with scene() as media, open_socket(media.port, PATH) as lively, raw_socket(media) as dead:
        pings: list[float] = []

        async def read_lively() -> None:
            while True:
                await next_message(lively)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_lively)
            while dead.data or await dead.more():
                opcode, _ = await frame(dead)
                if opcode == 9:
                    pings.append(trio.current_time())
                if opcode == 8:
                    break
            assert pings == pytest.approx([15, 30, 45], abs=0.2)
            assert trio.current_time() == pytest.approx(45, abs=0.3)
            await trio.sleep(60)
            assert media.hub.status(room_key()).viewers["ws"] == 1  # type: ignore[union-attr]
            nursery.cancel_scope.cancel()


async def test_socket_when_the_server_stops_then_it_is_told_to_come_back() -> None:
    async with scene() as media, open_socket(media.port, PATH) as socket:
        await next_state(socket)
        await next_message(socket)
        await trio.testing.wait_all_tasks_blocked()
        await media.hub.shutdown(2)
        with pytest.raises(ConnectionClosed) as caught:
            await next_message(socket)
        assert caught.value.reason is not None
        assert caught.value.reason.code == 1012
        async with raw_socket(media) as late:
            assert json.loads((await frame(late))[1])["code"] == "1012"


async def test_socket_when_the_grant_ends_then_it_is_told_so() -> None:
    class Expiring(Authority):
        async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
            await trio.lowlevel.checkpoint()
            return ViewGrant(room_key(room), self.viewer_limits, wall() + timedelta(seconds=3))

    async with scene(Expiring()) as media, open_socket(media.port, PATH) as socket:
        await next_state(socket)
        await next_message(socket)
        assert json.loads(await next_message(socket))["message"] == "playback_unauthorized"
        with pytest.raises(ConnectionClosed) as caught:
            await next_message(socket)
        assert caught.value.reason is not None
        assert caught.value.reason.code == 4401
        assert trio.current_time() == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize(
    ("method", "missing", "status"),
    [("GET", "Sec-WebSocket-Key", 400), ("GET", "Connection", 426), ("GET", "Sec-WebSocket-Version", 400)],
)
async def test_socket_when_the_handshake_is_incomplete_then_it_is_refused_over_http(
    method: str, missing: str, status: int
) -> None:
    async with scene() as media, connect(media.port) as peer:
        await peer.ask(PATH, method, {k: v for k, v in SHAKE.items() if k != missing})
        assert (await peer.reply()).status == status
        assert await peer.ended()


async def test_socket_path_when_asked_without_an_upgrade_then_it_says_what_it_speaks() -> None:
    async with scene() as media, connect(media.port) as peer:
        assert (await peer.get(PATH, "HEAD")).status == 404
        assert (await peer.get(PATH, "POST")).status == 404
        assert (await peer.get(PATH)).json()["code"] == "websocket_only"
        await peer.ask(PATH, "POST", SHAKE)  # an upgrade is a GET (RFC 6455 §4.1)
        assert (await peer.reply()).status == 404
        assert (await peer.get("/hello")).body == b"hello"
