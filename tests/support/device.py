"""A camera written by hand: every byte it sends is chosen here, nothing of a WebSocket library helps or corrects."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import attrs
import trio

from tests.support.media import Media

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # for that nonce, RFC 6455 §1.3


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, first: int = 0) -> bytes:
    """One WebSocket frame (RFC 6455 §5.2); ``first`` is or-ed into its first byte."""
    length, bit = len(payload), 0x80 if masked else 0
    head = bytes((opcode | (0x80 if fin else 0) | first,))
    if length < 126:
        head += bytes((bit | length,))
    elif length < 65536:
        head += bytes((bit | 126,)) + length.to_bytes(2, "big")
    else:
        head += bytes((bit | 127,)) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    key = int.from_bytes(mask * (length // 4 + 1), "big") >> (8 * (4 - length % 4))
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big") if length else head + mask


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


def target(room: str = "cam1", key: str | None = None, **query: str) -> str:
    """The request target of a good camera; ``app=…`` and others go into the query."""
    params = {"app": "live", "room": room, "key": f"wsk_{room}_1" if key is None else key, **query}
    return f"/ingest/ws?{urlencode(params)}"


def upgrade(path: str, headers: Iterable[str] = (), *, method: str = "GET") -> bytes:
    """The bytes of an upgrade request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: hub",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {NONCE}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@attrs.define(eq=False)
class Device:
    """One connection. What it reads is checked: servers do not mask and do not fragment here."""

    stream: trio.SocketStream
    headers: dict[str, str] = attrs.field(factory=dict)
    _buffer: bytearray = attrs.field(factory=bytearray)

    async def send(self, *data: bytes) -> None:
        await self.stream.send_all(b"".join(data))

    async def binary(self, *pictures: bytes) -> None:
        """Whole binary messages, in one write."""
        await self.send(*(frame(BINARY, p) for p in pictures))

    async def stats(self, **figures: object) -> None:
        await self.send(frame(TEXT, json.dumps({"type": "stats", **figures}).encode()))

    async def head(self) -> int:
        """Read an HTTP head: its status; the headers are in ``headers``."""
        while b"\r\n\r\n" not in self._buffer:
            assert await self._more(), f"the connection ended: {bytes(self._buffer)!r}"
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer[:] = rest
        first, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        return int(first.split(" ")[1])

    async def receive(self) -> tuple[int, bytes] | None:
        """The next frame: opcode and payload; None at the end of the connection."""
        if not await self._need(2):
            assert not self._buffer, f"cut off: {bytes(self._buffer)!r}"
            return None
        first, length = self._buffer[0], self._buffer[1]
        assert first & 0xF0 == 0x80, "fragmented, or a reserved bit is set"
        assert length < 128, "servers do not mask"
        at = 2
        if length >= 126:
            at += 2 if length == 126 else 8
            assert await self._need(at)
            length = int.from_bytes(self._buffer[2:at], "big")
        assert await self._need(at + length), "cut off inside a frame"
        payload = bytes(self._buffer[at : at + length])
        del self._buffer[: at + length]
        return first & 0x0F, payload

    async def text(self) -> dict[str, Any]:
        """The next frame, which must be text, as JSON."""
        found = await self.receive()
        assert found is not None, "the connection ended"
        assert found[0] == TEXT, found
        message = json.loads(found[1])
        assert isinstance(message, dict)
        return message

    async def closed(self) -> tuple[int, str]:
        """The next frame, which must be a close and the last one, as code and reason; the socket's end is awaited."""
        found = await self.receive()
        assert found is not None, "the connection ended without a close frame"
        assert found[0] == CLOSE, found
        assert await self.receive() is None
        return int.from_bytes(found[1][:2], "big"), found[1][2:].decode()

    async def refused(self) -> tuple[str, str, int, str]:
        """The error message's code and text, the close's code and reason."""
        message = await self.text()
        assert message["type"] == "error"
        assert set(message) == {"type", "code", "message"}
        return (message["code"], message["message"], *await self.closed())

    async def sync(self) -> None:
        """Return once the server has dealt with everything sent so far: it has answered a ping.

        Its own pings that come meanwhile (on a slow machine) are answered.
        """
        token = os.urandom(8)
        await self.send(frame(PING, token))
        while (found := await self.receive()) == (PING, b""):
            await self.send(frame(PONG))
        assert found == (PONG, token)

    async def cut(self) -> None:
        """Vanish with a reset instead of an end."""
        self.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await trio.aclose_forcefully(self.stream)

    async def _more(self) -> bool:
        data = await self.stream.receive_some(65536)
        self._buffer += data
        return bool(data)

    async def _need(self, count: int) -> bool:
        while len(self._buffer) < count:
            if not await self._more():
                return False
        return True


@asynccontextmanager
async def dial(media: Media) -> AsyncIterator[Device]:
    """A connection on which nothing was said yet."""
    stream = await trio.open_tcp_stream("127.0.0.1", media.port)
    try:
        yield Device(stream)
    finally:
        await trio.aclose_forcefully(stream)


@asynccontextmanager
async def handshake(
    media: Media, room: str = "cam1", key: str | None = None, headers: Iterable[str] = (), **query: str
) -> AsyncIterator[Device]:
    """A device whose upgrade was answered by 101; what comes next is a refusal or ``ready``."""
    async with dial(media) as device:
        await device.send(upgrade(target(room, key, **query), headers))
        assert await device.head() == 101
        yield device


@asynccontextmanager
async def camera(
    media: Media, room: str = "cam1", key: str | None = None, headers: Iterable[str] = (), **query: str
) -> AsyncIterator[Device]:
    """A device that has read ``ready``."""
    async with handshake(media, room, key, headers, **query) as device:
        message = await device.text()
        assert message["type"] == "ready", message
        yield device
