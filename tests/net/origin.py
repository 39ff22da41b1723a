"""A small HTTP origin for the guard's proxy: fixed answers, and what it was asked."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio


@attrs.define(eq=False)
class Origin:
    """``answers`` by path, whole; any other path is never answered. ``heads``: those of the requests."""

    answers: dict[str, bytes] = attrs.field(factory=dict)
    heads: list[bytes] = attrs.field(factory=list)
    port: int = 0

    def put(self, path: str, body: bytes, kind: str = "video/mp2t") -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.answers[path] = head.encode() + body

    def redirect(self, path: str, to: str) -> None:
        self.answers[path] = f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()

    async def serve(self, stream: trio.abc.Stream) -> None:
        async with stream:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = await stream.receive_some(4096)
                    if not data:
                        return
                    head += data
                self.heads.append(head)
                answer = self.answers.get(head.split()[1].decode())
                if answer is None:
                    await trio.sleep_forever()
                else:
                    await stream.send_all(answer)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass


@asynccontextmanager
async def origin(tls: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """An origin on a free port of loopback."""
    served = Origin()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    served.port = listener.socket.getsockname()[1]

    async def one(stream: trio.SocketStream) -> None:
        await served.serve(stream if tls is None else trio.SSLStream(stream, tls, server_side=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, one, [listener])
        yield served
        nursery.cancel_scope.cancel()
