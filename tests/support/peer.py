"""A client that speaks HTTP byte by byte over one connection: what it sends and sees is exact."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

_PART = re.compile(rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n")
READ_S = 60.0  # of a test's clock: longer than any time-out of the server


@attrs.frozen
class Reply:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes
    head: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@attrs.define(eq=False)
class HttpPeer:
    """One connection and what has been read of it but not yet used."""

    stream: trio.abc.Stream
    data: bytes = b""

    async def send(self, data: bytes) -> None:
        with trio.fail_after(READ_S):
            await self.stream.send_all(data)

    async def ask(
        self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: cams.test"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def get(self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Reply:
        await self.ask(target, method, headers)
        return await self.reply(bodyless=method == "HEAD")

    async def more(self) -> bool:
        """Read something; False at the end of the connection."""
        with trio.fail_after(READ_S):
            try:
                data = bytes(await self.stream.receive_some(1 << 20))
            except trio.BrokenResourceError:
                return False
        self.data += data
        return bool(data)

    async def until(self, wanted: bytes) -> bytes:
        """Everything up to and including ``wanted``."""
        while wanted not in self.data:
            assert await self.more(), self.data[-300:]
        found, _, self.data = self.data.partition(wanted)
        return found + wanted

    async def exactly(self, count: int) -> bytes:
        while len(self.data) < count:
            assert await self.more(), self.data[-300:]
        found, self.data = self.data[:count], self.data[count:]
        return found

    async def reply(self, *, bodyless: bool = False) -> Reply:
        """One answer whose length is told, or which has no body."""
        head = await self.until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = 0 if bodyless or status in (204, 304) else int(headers.get("content-length", "0"))
        return Reply(status, headers, await self.exactly(size), head)

    async def part(self) -> bytes:
        """The next MJPEG part's picture, checked to be exact and to be followed by the next boundary line."""
        head = await self.until(b"\r\n\r\n")
        match = _PART.fullmatch(head)
        assert match, head
        picture = await self.exactly(int(match[1]))
        assert await self.exactly(11) == b"\r\n--frame\r\n"
        return picture

    async def watch(self, target: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Ask for MJPEG and read up to the first part."""
        await self.ask(target, headers=headers)
        reply = await self.reply(bodyless=True)
        if reply.status == 200:
            assert await self.exactly(9) == b"--frame\r\n"
        return reply

    async def ended(self) -> bool:
        """Whether the server closes without another byte."""
        return not self.data and not await self.more()


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[HttpPeer]:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    try:
        yield HttpPeer(stream)
    finally:
        await trio.aclose_forcefully(stream)
