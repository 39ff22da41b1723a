"""A running RTMP server on loopback, with an authority and relays that tests look into."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from streamhub.ingest.rtmp_server import RtmpServer
from streamhub.net.listeners import open_tcp, open_unix
from tests.fakes.relays import FakePushAuthority, Push, RecordingRelays
from tests.support.rtmp import Peer


@attrs.define(eq=False)
class RtmpSite:
    port: int
    server: RtmpServer
    authority: FakePushAuthority
    relays: RecordingRelays

    @property
    def url(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live"

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        """A new connection, closed at the end of the block."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        try:
            yield Peer(stream)
        finally:
            await trio.aclose_forcefully(stream)

    @asynccontextmanager
    async def publishing(self, name: str) -> AsyncIterator[tuple[Peer, Push]]:
        """A connection that publishes by the key ``stk_<name>``."""
        async with self.peer() as peer:
            await peer.publish(f"stk_{name}")
            assert (await peer.hear())["code"] == "NetStream.Publish.Start"
            yield peer, self.relays.pushes[-1]


@asynccontextmanager
async def rtmp_site(tls: ssl.SSLContext | None = None, unix: Path | None = None) -> AsyncIterator[RtmpSite]:
    authority, relays = FakePushAuthority(), RecordingRelays()
    server = RtmpServer(authority, relays)
    if unix is not None:
        listener, address = open_unix(str(unix), setting="test")
    else:
        listener, address = open_tcp("127.0.0.1", 0, setting="test")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener], tls)
        yield RtmpSite(address.port, server, authority, relays)
        nursery.cancel_scope.cancel()
