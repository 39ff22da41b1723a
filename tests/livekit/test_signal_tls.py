"""The signalling door where the TLS is ours, livekit-server's, or both: such connections cannot be half-closed."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest
import trio

from streamhub.livekit.server import LiveKit
from streamhub.livekit.session import Session
from streamhub.livekit.signal_pipe import SignalDoor
from streamhub.model.urls import Base
from streamhub.net.connection import Taken
from streamhub.net.peers import Peer
from tests.livekit.conftest import KEYS
from tests.livekit.test_signal_pipe import SWITCH, UPGRADE, read_head, socket_pair
from tests.simulator.certificate import make_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def client_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


@pytest.mark.parametrize("who_ends", ["client", "livekit"])
@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True), (True, True)])
async def test_conversation_over_tls_passes_and_ends_for_both(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, ours: bool, theirs: bool, who_ends: str
) -> None:
    over, ended = trio.Event(), trio.Event()

    async def livekit_side(plain: trio.SocketStream) -> None:
        stream: trio.abc.Stream = plain
        if theirs:
            stream = trio.SSLStream(plain, server_tls, server_side=True, https_compatible=True)
        async with plain:
            await read_head(stream)
            await stream.send_all(SWITCH)
            with contextlib.suppress(trio.BrokenResourceError):
                while data := bytes(await stream.receive_some(65536)):
                    await stream.send_all(data)
                    if data == b"bye":
                        break
        over.set()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    livekit = LiveKit(KEYS, managed=False, session=Session(tls=client_tls))
    livekit.set_ready(f"{'https' if theirs else 'http'}://127.0.0.1:{port}", None)
    near, far = await socket_pair()
    client: trio.SocketStream | trio.SSLStream[trio.SocketStream] = near
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = far
    if ours:
        client = trio.SSLStream(near, client_tls, server_hostname="127.0.0.1", https_compatible=True)
        stream = trio.SSLStream(far, server_tls, server_side=True, https_compatible=True)
    taken = Taken(
        method="GET",
        path="/rtc",
        query={},
        headers=UPGRADE,
        target=b"/rtc",
        stream=stream,
        rest=b"",
        peer=Peer("203.0.113.9", Base("https", "cams.example")),
    )

    async def door() -> None:
        await SignalDoor(livekit)(taken)
        await trio.aclose_forcefully(far)  # as the front does
        ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, livekit_side, [listener])
        nursery.start_soon(door)
        with trio.fail_after(10):
            head = await read_head(client)
            assert head == SWITCH
            blob = bytes(range(256)) * 2000
            nursery.start_soon(client.send_all, blob)
            found = b""
            while len(found) < len(blob):
                found += bytes(await client.receive_some(65536))
            assert found == blob
            if who_ends == "client":
                await trio.aclose_forcefully(near)
            else:
                await client.send_all(b"bye")
                rest = b""
                while data := bytes(await client.receive_some(65536)):
                    rest += data
                assert rest == b"bye"
                await trio.aclose_forcefully(near)
            await over.wait()
            await ended.wait()
        nursery.cancel_scope.cancel()
    for one in (near, far):
        await trio.aclose_forcefully(one)
