"""The upgrade as real firmware writes it, and as broken or hostile clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tests.support.device import ACCEPT, BINARY, NONCE, camera, dial, frame, target, upgrade
from tests.support.media import jpeg, room_key, serve_media
from tests.support.waiting import eventually

# The head that arduinoWebSockets 2.4 (Links2004) writes: its headers, their order and case.
ARDUINO = (
    "GET {target} HTTP/1.1\r\n"
    "Host: 192.168.1.20:3020\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: {nonce}\r\n"
    "Sec-WebSocket-Protocol: arduino\r\n"
    "Origin: file://\r\n"
    "User-Agent: arduino-WebSocket-Client\r\n"
    "\r\n"
)
# What esp_websocket_client (ESP-IDF) writes.
ESPRESSIF = (
    "GET {target} HTTP/1.1\r\n"
    "Connection: Upgrade\r\n"
    "Host: 192.168.1.20:3020\r\n"
    "User-Agent: ESP32 Websocket Client\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: {nonce}\r\n"
    "\r\n"
)


@pytest.mark.parametrize(("head", "protocol"), [(ARDUINO, "arduino"), (ESPRESSIF, None)])
async def test_upgrade_when_real_firmware_writes_it_then_it_streams(head: str, protocol: str | None) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, dial(media) as device:
            await device.send(head.format(target=target(), nonce=NONCE).encode())
            assert await device.head() == 101
            assert device.headers["sec-websocket-accept"] == ACCEPT
            assert device.headers.get("sec-websocket-protocol") == protocol
            assert (await device.text())["type"] == "ready"
            await device.binary(jpeg(9))
            await device.sync()
            room = media.hub.get(room_key())
            assert room is not None
            assert room.latest.jpeg == jpeg(9)


@pytest.mark.parametrize(
    ("offered", "echoed"),
    [
        (["Sec-WebSocket-Protocol: arduino"], "arduino"),
        (["Sec-WebSocket-Protocol: b, a, arduino"], "b"),
        (["Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: y"], "x"),
        ([], None),
    ],
)
async def test_subprotocol_when_offered_then_the_first_is_echoed(offered: list[str], echoed: str | None) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, camera(media, headers=offered) as device:
            assert device.headers.get("sec-websocket-protocol") == echoed


async def test_compression_when_offered_then_it_is_not_taken() -> None:
    offer = ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]
    with trio.fail_after(10):
        async with serve_media() as media, camera(media, headers=offer) as device:
            assert "sec-websocket-extensions" not in device.headers
            # A frame marked as compressed breaks the protocol then (RFC 6455 §5.2).
            await device.send(frame(BINARY, jpeg(), first=0x40))
            assert (await device.closed())[0] == 1002


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ("Connection: Upgrade", "connection: upgrade"),
        ("Connection: Upgrade", "CONNECTION:UPGRADE"),
        ("Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade"),
        ("Upgrade: websocket", "Upgrade: WebSocket"),
        ("Upgrade: websocket", "uPGRADE:  websocket  "),
        ("Host: hub", "Host: hub\r\nOrigin: file://"),
        ("Host: hub", "Host: hub\r\nOrigin: null"),
        ("Host: hub", "Host: hub\r\nOrigin: https://another.example"),
        ("Host: hub", "Host: hub\r\nContent-Length: 0"),
        ("Host: hub", "Host: hub\r\nCookie: " + "x" * 7000),
    ],
)
async def test_upgrade_when_headers_are_written_otherwise_then_it_is_accepted(old: str, new: str) -> None:
    head = upgrade(target()).decode()
    assert old in head
    with trio.fail_after(10):
        async with serve_media() as media, dial(media) as device:
            await device.send(head.replace(old, new).encode())
            assert await device.head() == 101
            assert (await device.text())["type"] == "ready"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 400),
        ("Sec-WebSocket-Version: 13\r\n", "", 400),
        (f"Sec-WebSocket-Key: {NONCE}\r\n", "", 400),
        (f"Sec-WebSocket-Key: {NONCE}", "Sec-WebSocket-Key: c2hvcnQ=", 400),
        ("Connection: Upgrade", "Connection: keep-alive", 426),
        ("GET ", "POST ", 404),
        ("Host: hub", "Host: hub\r\nContent-Length: 5", 400),
        ("Host: hub", "Host: hub\r\nTransfer-Encoding: chunked", 400),
        ("Host: hub", "Host: hub\r\nCookie: " + "x" * 9000, 431),
        ("/ingest/ws?", "/ingest/ws?x=" + "y" * 9000 + "&", 414),
    ],
)
async def test_upgrade_when_it_is_none_then_an_http_answer_says_so(old: str, new: str, status: int) -> None:
    head = upgrade(target()).decode()
    assert old in head
    with trio.fail_after(10):
        async with serve_media() as media, dial(media) as device:
            await device.send(head.replace(old, new).encode(), frame(BINARY, jpeg()) * 20)
            assert await device.head() == status
            await device.send(b"x" * 1000)  # bytes that come while the server leaves must not destroy its answer
            assert media.authority.asked == []
            assert media.hub.statuses() == []


async def test_upgrade_when_frames_come_in_the_same_segment_then_none_is_lost() -> None:
    with trio.fail_after(10):
        async with serve_media() as media, dial(media) as device:
            await device.send(upgrade(target()), *(frame(BINARY, jpeg(n)) for n in range(5)))
            assert await device.head() == 101
            assert (await device.text())["type"] == "ready"
            await device.sync()
            session = media.hub.statuses()[0].source
            assert session is not None
            assert session.frames == 5


async def test_upgrade_when_split_at_every_byte_then_it_is_the_same() -> None:
    picture = jpeg(5)

    def whole(at: int) -> bytes:
        return upgrade(target(f"c{at:04}"), ["Sec-WebSocket-Protocol: arduino"]) + frame(BINARY, picture)

    async with serve_media() as media, trio.open_nursery() as nursery:
        again = trio.Event()
        cuts = range(1, len(whole(0)))
        halves = []

        async def come(at: int) -> None:
            data = whole(at)
            async with dial(media) as device:
                await device.send(data[:at])
                halves.append(at)
                await again.wait()
                await device.send(data[at:])
                assert await device.head() == 101, at
                assert (await device.text())["type"] == "ready"
                await device.sync()
                room = media.hub.get(room_key(f"c{at:04}"))
                assert room is not None
                # Not the latest one: on a busy machine the camera has been silent for so long that it is stale by now.
                poster = room.poster
                assert poster is not None, at
                assert poster.jpeg == picture, at

        with trio.fail_after(60):
            for at in cuts:
                nursery.start_soon(come, at)
            await eventually(lambda: len(halves) == len(cuts))
            await trio.testing.wait_all_tasks_blocked(0.05)  # the server has read every first half
            again.set()


async def test_upgrade_when_sent_byte_by_byte_then_it_is_the_same() -> None:
    with trio.fail_after(30):
        async with serve_media() as media, dial(media) as device:
            for byte in upgrade(target()) + frame(BINARY, jpeg(5)) + frame(BINARY, jpeg(6)):
                await device.send(bytes((byte,)))
                await trio.lowlevel.checkpoint()
            assert await device.head() == 101
            assert (await device.text())["type"] == "ready"
            await device.sync()
            source = media.hub.statuses()[0].source
            assert source is not None
            assert source.frames == 2


@pytest.mark.parametrize("path", ["/ingest/ws/", "/ingest/wss", "/Ingest/ws", "/ingest"])
async def test_upgrade_when_the_path_is_another_then_404(path: str) -> None:
    with trio.fail_after(10):
        async with serve_media() as media, dial(media) as device:
            await device.send(upgrade(target().replace("/ingest/ws", path, 1)))
            assert await device.head() == 404


@asynccontextmanager
async def library(port: int, path: str) -> AsyncIterator[WebSocketConnection]:
    """A trio-websocket client. Its own `open_websocket` leaves the socket to the garbage collector."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(nursery, stream, "hub", path, subprotocols=["arduino"])
        nursery.cancel_scope.cancel()


async def test_camera_when_a_library_plays_it_then_both_ends_agree() -> None:
    with trio.fail_after(10):
        async with serve_media() as media:
            async with library(media.port, target()) as socket:
                assert socket.subprotocol == "arduino"
                assert '"type": "ready"' in await socket.get_message()
                await socket.send_message(jpeg(1))
                await socket.ping()
                await socket.aclose(1000, "bye")
            async with library(media.port, target(key="bad")) as refused:
                assert "invalid_key" in await refused.get_message()
                with pytest.raises(ConnectionClosed) as closed:
                    await refused.get_message()
                assert closed.value.reason is not None
                assert (closed.value.reason.code, closed.value.reason.reason) == (4401, "invalid_key")
