"""The camera door where the TLS is ours: the same words, over a connection that cannot be written to directly."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.net.site import Site, open_site
from tests.support.device import BINARY, PING, Device, close_frame, frame, target, upgrade
from tests.support.media import jpeg, room_key
from tests.support.waiting import eventually


@asynccontextmanager
async def secure(site: Site, tls: ssl.SSLContext, path: str) -> AsyncIterator[Device]:
    """A device that has sent its upgrade over TLS and read 101."""
    plain = await trio.open_tcp_stream("127.0.0.1", site.port)
    stream = trio.SSLStream(plain, tls, server_hostname="127.0.0.1", https_compatible=True)
    try:
        await stream.do_handshake()
        device = Device(stream)  # type: ignore[arg-type]
        await device.send(upgrade(path), frame(BINARY, jpeg(1)))
        assert await device.head() == 101
        yield device
    finally:
        await trio.aclose_forcefully(stream)


async def test_camera_over_tls_when_good_then_it_streams_is_replaced_and_leaves(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with trio.fail_after(10):
        async with open_site(tls=server_tls) as site, secure(site, client_tls, target()) as old:
            assert (await old.text())["type"] == "ready"
            await old.binary(jpeg(2), jpeg(3, pad=200_000))
            await old.sync()
            room = site.hub.get(room_key())
            assert room is not None
            assert room.latest.jpeg == jpeg(3, pad=200_000)
            async with secure(site, client_tls, target()) as new:
                assert (await new.text())["type"] == "ready"
                assert await old.closed() == (4409, "replaced by new connection")
                await new.send(frame(PING, b"x"), close_frame(1000))
                assert await new.receive() == (10, b"x")
                assert await new.closed() == (1000, "")
            await eventually(lambda: not site.hub.statuses())


async def test_camera_over_tls_when_refused_then_the_end_follows_the_close_at_once(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with trio.fail_after(10):
        async with open_site(tls=server_tls) as site, secure(site, client_tls, target(key="wsk_bad")) as device:
            with trio.fail_after(1):  # the server itself lingers for two seconds
                assert (await device.refused())[1] == "invalid_key"


async def test_camera_over_tls_when_refused_while_it_sends_then_it_still_reads_why(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with trio.fail_after(10):
        async with open_site(tls=server_tls) as site, secure(site, client_tls, target(key="wsk_bad")) as device:
            await device.binary(*[jpeg(pad=50_000)] * 5)
            message = await device.text()
            assert message["message"] == "invalid_key"
            found = await device.receive()
            assert found == (8, b"\x11\x31invalid_key")


async def test_camera_over_tls_when_cut_without_a_word_then_the_room_is_free(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with trio.fail_after(10):
        async with open_site(tls=server_tls) as site:
            async with secure(site, client_tls, target()) as device:
                assert (await device.text())["type"] == "ready"
            await eventually(lambda: not site.hub.statuses() and not site.front.connections)
