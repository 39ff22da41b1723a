from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from streamhub.net.front import TLS_HANDSHAKE_S
from tests.net.site import open_site
from tests.support.peer import HttpPeer, connect
from tests.support.waiting import eventually

MJPEG = "/live/live/cam1/mjpeg"


@asynccontextmanager
async def connect_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[HttpPeer]:
    async with connect(port) as plain:
        tls = trio.SSLStream(plain.stream, context, server_hostname="127.0.0.1", https_compatible=True)
        await tls.do_handshake()
        yield HttpPeer(tls)


async def test_tls_when_requests_follow_each_other_then_pages_snapshots_and_streams_work(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with open_site(tls=server_tls) as site, connect_tls(site.port, client_tls) as client:
        assert (await client.get("/ip")).body == b"127.0.0.1 https://cams.test"
        assert (await client.get("/live/live/cam1/frame.jpg")).status == 503
        assert (await client.get("/a")).body == b"GET /a 0"
        await client.watch(MJPEG)
        picture = await client.part()
        assert picture.startswith(b"\xff\xd8")
        assert site.hub.statuses()[0].viewers["mjpeg"] == 1
        with trio.fail_after(7):
            assert await client.part() == picture  # the next placeholder, over TLS


async def test_tls_when_the_viewer_leaves_then_nothing_is_left(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with open_site(tls=server_tls) as site:
        async with connect_tls(site.port, client_tls) as client:
            await client.watch(MJPEG)
            await client.part()
        await eventually(lambda: site.hub.statuses() == [] and site.front.connections == 0)


async def test_tls_when_http2_is_offered_then_http_1_1_is_chosen(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    client_tls.set_alpn_protocols(["h2", "http/1.1"])
    async with open_site(tls=server_tls) as site, connect_tls(site.port, client_tls) as client:
        assert client.stream.selected_alpn_protocol() == "http/1.1"  # type: ignore[attr-defined]
        assert (await client.get("/a")).status == 200


@pytest.mark.parametrize("words", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(500)])
async def test_tls_when_the_handshake_is_never_finished_then_the_connection_is_cut(
    server_tls: ssl.SSLContext, clock: trio.testing.MockClock, words: bytes
) -> None:
    async with open_site(tls=server_tls) as site, connect(site.port) as client:
        await client.send(words)
        while await client.more():
            pass
        assert trio.current_time() <= TLS_HANDSHAKE_S + 0.1
        assert b"HTTP/1.1 2" not in client.data
        assert site.front.connections == 0


async def test_tls_when_handshakes_hang_then_others_are_served_meanwhile(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with open_site(tls=server_tls) as site:
        hanging = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(20)]
        try:
            with trio.fail_after(3):
                async with connect_tls(site.port, client_tls) as client:
                    assert (await client.get("/a")).status == 200
        finally:
            for one in hanging:
                one.close()


async def test_stop_when_tls_clients_are_stalled_then_it_ends_in_time(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with open_site(tls=server_tls) as site, connect_tls(site.port, client_tls) as stalled:
        await stalled.ask("/big")
        async with connect_tls(site.port, client_tls) as viewer:
            await viewer.watch(MJPEG)
            await viewer.part()
            await trio.sleep(0.3)
            began = trio.current_time()
            await site.hub.shutdown(2)
            await site.front.stop(1)
            assert trio.current_time() - began < 3.5
            assert site.front.connections == 0
