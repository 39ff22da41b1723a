"""LiveKit clients of every kind behind one interface: in the browser, in Node, and LiveKit's Python SDK."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import attrs

from tests.support.rtc import RtcPeer, peer_process, rtc_peer
from tests.support.server import Server

KINDS = ("python", "chromium", "node")


class Client(Protocol):
    """A client that has tried to join."""

    @property
    def events(self) -> list[dict[str, Any]]: ...

    async def said(self, event: str, *, within_s: float = ..., **expected: Any) -> dict[str, Any]: ...

    async def do(self, what: str, **more: Any) -> None: ...


@attrs.frozen
class Seat:
    """One of several clients in one process."""

    peer: RtcPeer
    name: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for event in self.peer.events if event["seat"] == self.name]

    async def said(self, event: str, *, within_s: float = 60, **expected: Any) -> dict[str, Any]:
        return await self.peer.said(event, within_s=within_s, seat=self.name, **expected)

    async def do(self, what: str, **more: Any) -> None:
        await self.peer.do(what, seat=self.name, **more)


@asynccontextmanager
async def clients(kind: str, server: Server, tokens: Mapping[str, str]) -> AsyncIterator[dict[str, Client]]:
    """Clients of one kind that join with these tokens, by the same names."""
    if kind == "python":
        async with AsyncExitStack() as stack:
            yield {n: await stack.enter_async_context(rtc_peer(server.ws_url, t)) for n, t in tokens.items()}
        return
    command = {
        "chromium": [sys.executable, "-m", "tests.support.browser_peer", server.base_url],
        "node": ["scripts/sdk", "exec", "node", "tests/node/peer.mjs"],
    }[kind]
    async with peer_process(command) as peer:
        seats: dict[str, Client] = {name: Seat(peer, name) for name in tokens}
        for name, token in tokens.items():
            await seats[name].do("join", url=server.ws_url, token=token)
            # One by one: @livekit/rtc-node loses sight of whoever joins while it does.
            await seats[name].said("joined", within_s=60)
        yield seats
