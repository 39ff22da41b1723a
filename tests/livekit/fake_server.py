"""A server that answers as livekit-server does, as far as a test says."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import trio
from livekit.protocol import models, rtc


@attrs.define
class FakeServer:
    """Answers every call with ``status`` and ``body``; tells ``version`` to who joins (None: refuses to)."""

    status: int = 200
    body: bytes = b""
    version: str | None = "1.13.5"
    calls: list[str] = attrs.field(factory=list)
    url: str = ""

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                data = bytes(await stream.receive_some(65536))
                if not data:
                    return
                head += data
            line, *_ = head.decode("latin-1").split("\r\n")
            self.calls.append(line.split(" ")[1].partition("?")[0])
            key = next((v.strip() for v in head.split(b"\r\n") if v.lower().startswith(b"sec-websocket-key:")), None)
            if key is None:
                await stream.send_all(self._answer())
            elif self.version is None:
                await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            else:
                await stream.send_all(_switch(key.partition(b":")[2].strip()) + _frame(_join(self.version)))
                await stream.receive_some()

    def _answer(self) -> bytes:
        head = f"HTTP/1.1 {self.status} Any\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + self.body


def _join(version: str) -> bytes:
    join = rtc.JoinResponse(server_info=models.ServerInfo(version=version))
    return rtc.SignalResponse(join=join).SerializeToString()


def _switch(key: bytes) -> bytes:
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    accept = base64.b64encode(digest)
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _frame(payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes([0x82, len(payload)]) + payload


@asynccontextmanager
async def serving(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """The http URL of a server whose connections ``handler`` takes."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, handler, [listener])
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def fake_server(**behaviour: object) -> AsyncIterator[FakeServer]:
    """A running ``FakeServer``."""
    fake = FakeServer(**behaviour)  # type: ignore[arg-type]
    async with serving(fake.serve) as url:
        fake.url = url
        yield fake
