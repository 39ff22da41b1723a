"""An ESP32-CAM with the arduinoWebSockets library, as bytes on a socket."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.e2e.peers.arduino import BINARY, CLOSE, PING, PONG, TEXT, Device, frame_writes, handshake
from tests.support.media import jpeg
from tests.support.server import Server
from tests.support.waiting import eventually

URL = "/ingest/ws?app=live&room=cam1"


@asynccontextmanager
async def device_of(server: Server) -> AsyncIterator[Device]:
    async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
        yield Device(stream)


async def shown(server: Server, picture: bytes) -> None:
    """Wait until this very picture is what viewers get."""

    async def there() -> bool:
        answer = await server.request("GET", "/live/live/cam1/frame.jpg", token=None)
        return answer.status == 200 and answer.body == picture

    await eventually(there)


@pytest.mark.parametrize("way", ["extra header", "authorization", "query"])
async def test_device_when_it_shows_its_key_in_any_way_the_library_has_then_streams(server: Server, way: str) -> None:
    key = await server.make_key("cam1")
    how = {
        "extra header": {"extra": f"Authorization: Bearer {key}"},
        "authorization": {"auth": f"Bearer {key}"},
        "query": {},
    }[way]
    url = f"{URL}&key={key}" if way == "query" else URL
    with trio.fail_after(20):
        async with device_of(server) as device:
            headers = await device.connect(url, "127.0.0.1", server.port, **how)
            assert headers["sec-websocket-protocol"] == "arduino"
            assert "sec-websocket-extensions" not in headers
            opcode, text = await device.receive()
            assert opcode == TEXT
            ready = json.loads(text)
            assert (ready["type"], ready["room"]) == ("ready", "live-cam1")
            for shade in range(3):
                picture = jpeg(shade * 80, (320, 240))
                await device.send(BINARY, picture)
                await shown(server, picture)
            await device.send(CLOSE, (1000).to_bytes(2, "big"))
    assert key not in server.log()


# 125/126: the short form ends. 1399/1400: from one packet and a random mask to two writes and a mask of zeros.
# 65535: the library uses the 64-bit length one byte earlier than RFC 6455 wants it.
@pytest.mark.parametrize("size", [125, 126, 1399, 1400, 65534, 65535, 65536, 200_000])
async def test_frame_when_its_length_is_at_an_edge_of_the_librarys_framing_then_arrives_whole(
    server: Server, size: int
) -> None:
    # Smaller than any real JPEG: the contract asks for the first two bytes only.
    picture = b"\xff\xd8" + random.Random(size).randbytes(size - 2)
    key = await server.make_key("cam1")
    with trio.fail_after(20):
        async with device_of(server) as device:
            await device.connect(URL, "127.0.0.1", server.port, auth=f"Bearer {key}")
            await device.receive()
            await device.send(BINARY, picture)
            await shown(server, picture)


async def test_handshake_and_frames_when_cut_in_odd_places_then_are_read_all_the_same(server: Server) -> None:
    key = await server.make_key("cam1")
    first, second = jpeg(10, (320, 240)), jpeg(200, (320, 240))
    rng = random.Random(1)
    request = handshake(URL, "127.0.0.1", server.port, "MDEyMzQ1Njc4OWFiY2RlZg==", auth=f"Bearer {key}")
    # Within the method, the path, between CR and LF, within the last empty line.
    cuts = [2, 9, request.index(b"\r") - 10, 4, len(request) - request.index(b"\r") - 12]
    with trio.fail_after(20):
        async with device_of(server) as device:
            await device.send_cut(request, cuts)
            while b"live-cam1" not in device._buffer:
                await device._read()
            data = b"".join(frame_writes(BINARY, first, rng))
            # Within the head, within the mask, then inside the payload.
            await device.send_cut(data, [1, 2, 3, 1, 1, 777])
            await shown(server, first)
            # The end of one message, a ping and a whole other message in one packet.
            data = b"".join(frame_writes(BINARY, first, rng))
            last = b"".join(frame_writes(PING, b"", rng) + frame_writes(BINARY, second, rng))
            await device.send_cut(data + last, [len(data) - 5])
            await shown(server, second)


async def test_first_frame_when_sent_together_with_the_handshake_then_counts(server: Server) -> None:
    key = await server.make_key("cam1")
    picture = jpeg(77, (320, 240))
    request = handshake(URL, "127.0.0.1", server.port, "MDEyMzQ1Njc4OWFiY2RlZg==", auth=f"Bearer {key}")
    with trio.fail_after(20):
        async with device_of(server) as device:
            await device.stream.send_all(request + b"".join(frame_writes(BINARY, picture, random.Random(2))))
            await shown(server, picture)


async def test_heartbeat_when_the_device_pings_then_gets_pongs_without_payload(server: Server) -> None:
    key = await server.make_key("cam1")
    with trio.fail_after(20):
        async with device_of(server) as device:
            await device.connect(URL, "127.0.0.1", server.port, auth=f"Bearer {key}")
            await device.receive()
            for _ in range(3):
                await device.send(PING)
                assert await device.receive() == (PONG, b"")


async def test_stats_when_the_device_reports_then_they_are_on_the_stream(server: Server) -> None:
    key = await server.make_key("cam1")
    with trio.fail_after(20):
        async with device_of(server) as device:
            await device.connect(URL, "127.0.0.1", server.port, auth=f"Bearer {key}")
            await device.receive()
            await device.send(BINARY, jpeg())
            await device.send(TEXT, b'{"type":"stats","fps":9.7,"rssi":-61,"heapFree":151000,"frames":120}')

            async def listed() -> bool:
                (stream,) = (await server.request("GET", "/api/v1/apps/live/streams")).data
                return stream["lastStatsJson"] is not None and json.loads(stream["lastStatsJson"])["rssi"] == -61

            await eventually(listed)


async def test_refusal_when_the_key_is_wrong_then_the_upgrade_succeeds_and_the_reason_is_readable(
    server: Server,
) -> None:
    with trio.fail_after(20):
        async with device_of(server) as device:
            await device.connect(URL, "127.0.0.1", server.port, auth="Bearer wsk_wrong")
            opcode, text = await device.receive()
            assert (opcode, json.loads(text)) == (
                TEXT,
                {"type": "error", "code": "4401", "message": "invalid_key"},
            )
            assert await device.receive() == (CLOSE, (4401).to_bytes(2, "big") + b"invalid_key")
