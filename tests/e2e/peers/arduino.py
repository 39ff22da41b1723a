"""What an ESP32 with the arduinoWebSockets library puts on the wire, byte by byte, and how it reads answers.

Written from the library's behaviour (src/WebSocketsClient.cpp and WebSockets.cpp, versions 2.0 to 2.7): order and case
of the headers, the constant mask of zeros for payloads of 1400 bytes and more, header and payload in two writes,
64-bit lengths from 65535 bytes on, pings without payload.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterable

import attrs
import trio

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
IN_ONE_PACKET = 1400


def handshake(url: str, host: str, port: int, key: str, *, extra: str = "Origin: file://", auth: str = "") -> bytes:
    """The request. ``extra``: what ``setExtraHeaders`` holds; ``auth``: what ``setAuthorization`` was given."""
    lines = [
        f"GET {url} HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Protocol: arduino",
        *([extra] if extra else []),
        "User-Agent: arduino-WebSocket-Client",
        *([f"Authorization: {auth}"] if auth else []),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def frame_writes(opcode: int, payload: bytes, rng: random.Random) -> list[bytes]:
    """The TCP writes of one frame."""
    length = len(payload)
    if length < 126:
        head = bytes([0x80 | opcode, 0x80 | length])
    elif length < 0xFFFF:
        head = bytes([0x80 | opcode, 0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 0x80 | 127]) + length.to_bytes(8, "big")
    if 0 < length < IN_ONE_PACKET:
        mask = bytes(rng.randrange(255) for _ in range(4))
        return [head + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(payload))]
    return [head + bytes(4), payload] if payload else [head + bytes(4)]


@attrs.define
class Device:
    """A connected device: sends as the library does, and accepts only what the library accepts."""

    stream: trio.abc.Stream
    rng: random.Random = attrs.field(factory=lambda: random.Random(8266))
    _buffer: bytearray = attrs.field(factory=bytearray)

    async def connect(self, url: str, host: str, port: int, **how: str) -> dict[str, str]:
        """Shake hands; the answer's headers. Fails where the library would hang up."""
        key = base64.b64encode(bytes(self.rng.randrange(255) for _ in range(16))).decode()
        await self.stream.send_all(handshake(url, host, port, key, **how))
        while b"\r\n\r\n" not in self._buffer:
            await self._read()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        status, *lines = head.decode("ascii").split("\r\n")
        headers = {name.lower(): value.removeprefix(" ") for name, _, value in (line.partition(":") for line in lines)}
        # The library takes the characters 9 to 11 for the status, and wants these two values alone, in any case.
        assert (status[:7], status[9:12]) == ("HTTP/1.", "101"), head
        assert headers["connection"].lower() == "upgrade"
        assert headers["upgrade"].lower() == "websocket"
        accept = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False).digest()
        assert headers["sec-websocket-accept"].strip() == base64.b64encode(accept).decode()
        return headers

    async def send(self, opcode: int, payload: bytes = b"") -> None:
        """One frame, in the library's own writes."""
        for data in frame_writes(opcode, payload, self.rng):
            await self.stream.send_all(data)

    async def send_cut(self, data: bytes, cuts: Iterable[int]) -> None:
        """The bytes in pieces of these sizes, each a packet of its own (the socket has TCP_NODELAY)."""
        for cut in cuts:
            await self.stream.send_all(data[:cut])
            data = data[cut:]
            await trio.sleep(0.002)  # so that the pieces are not read as one
        await self.stream.send_all(data)

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode and payload. It must be whole and unmasked."""
        head = await self._take(2)
        assert head[0] & 0xF0 == 0x80, "fragmented, or with an extension"
        assert not head[1] & 0x80, "masked"
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(await self._take(2 if length == 126 else 8), "big")
        # WEBSOCKETS_MAX_DATA_SIZE of an ESP32 and ESP8266: larger messages end the connection.
        assert length <= 15 * 1024
        return head[0] & 0x0F, await self._take(length)

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._read()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _read(self) -> None:
        data = await self.stream.receive_some(4096)
        assert data, "the server hung up"
        self._buffer += data
