"""Real sockets on loopback, real TLS."""

from __future__ import annotations

import ssl
from functools import partial

import pytest
import trio
from trio_websocket import ConnectionClosed, serve_websocket

from streamhub.simulator.camera import run_camera
from streamhub.simulator.connection import LinkFailed, dial, open_camera_socket
from streamhub.simulator.target import Target
from tests.simulator.certificate import make_certificate
from tests.simulator.peer import KEY, Log, Numbers, options, ready


def target_of(port, *, tls=False, host="127.0.0.1"):
    return Target(host=host, port=port, app="live", room="cam1", tls=tls)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


async def serve(nursery, messages, headers, context=None):
    """The port of a server that takes frames."""

    async def handler(request):
        headers.append(dict(request.headers))
        socket = await request.accept()
        await socket.send_message(ready())
        try:
            while True:
                messages.append(await socket.get_message())
        except ConnectionClosed:
            pass

    server = await nursery.start(partial(serve_websocket, handler, "127.0.0.1", 0, context))
    return server.port


async def answer_once(nursery, answer, seen=None):
    """The port of a server that reads a request head, writes ``answer`` and closes."""

    async def handle(stream):
        head = b""
        while b"\r\n\r\n" not in head and (data := await stream.receive_some(4096)):
            head += data
        if seen is not None:
            seen.append(head)
        if answer is None:
            await trio.sleep_forever()
        await stream.send_all(answer)
        await stream.aclose()

    (listener,) = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
    return listener.socket.getsockname()[1]


async def free_port():
    with trio.socket.socket() as socket:
        await socket.bind(("127.0.0.1", 0))
        return socket.getsockname()[1]


async def test_camera_when_the_server_is_real_then_frames_arrive_over_tcp(nursery):
    messages, headers, log = [], [], Log()
    with trio.fail_after(10):
        target = target_of(await serve(nursery, messages, headers))
        await run_camera(options(target=target, fps=100, frames=15), Numbers(size=40_000), report=log)
    assert [len(m) for m in messages] == [40_000] * 15
    assert headers[0][b"authorization"] == f"Bearer {KEY}".encode()
    assert log.last.bytes_sent == 600_000


async def test_camera_when_the_certificate_is_its_own_then_needs_insecure(nursery, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    messages = []
    with trio.fail_after(10):
        target = target_of(await serve(nursery, messages, [], context), tls=True)
        with pytest.raises(LinkFailed, match=r"certificate of 127\.0\.0\.1:.* is not trusted") as failed:
            await dial(target, insecure=False)
        assert "--insecure" in failed.value.hint
        await run_camera(options(target=target, fps=100, frames=3, insecure=True), Numbers(), report=Log())
    assert len(messages) == 3


async def test_dial_when_the_certificate_is_trusted_then_checks_it_against_the_host(nursery, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    with trio.fail_after(10):
        port = await serve(nursery, [], [], context)
        async with open_camera_socket(target_of(port, tls=True), KEY):
            pass
        with pytest.raises(LinkFailed, match="not trusted"):
            await dial(target_of(port, tls=True, host="localhost"), insecure=False)


async def test_dial_when_the_server_speaks_no_tls_then_says_so(nursery):
    with trio.fail_after(10):
        port = await serve(nursery, [], [])
        with pytest.raises(LinkFailed, match=r"no TLS with 127\.0\.0\.1"):
            await dial(target_of(port, tls=True), insecure=True)


async def test_dial_when_nobody_listens_then_says_so_without_the_librarys_words():
    with trio.fail_after(10), pytest.raises(LinkFailed) as failed:
        await dial(target_of(await free_port()), insecure=False)
    assert str(failed.value).endswith(": Connection refused")
    assert str(failed.value).startswith("cannot reach 127.0.0.1:")


async def test_dial_when_the_name_is_unknown_then_says_so():
    with trio.fail_after(30), pytest.raises(LinkFailed, match=r"cannot reach no-such-host\.invalid:3020: "):
        await dial(target_of(3020, host="no-such-host.invalid"), insecure=False)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "answered HTTP 404 instead of opening a WebSocket"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "answered HTTP 502"),
        (
            b"HTTP/1.1 308 Permanent\r\nLocation: https://cams.example/\x1b[2J\r\nContent-Length: 0\r\n\r\n",
            r"elsewhere, to https://cams\.example/",
        ),
    ],
)
async def test_socket_when_the_server_answers_http_then_says_what_it_said(nursery, answer, words):
    with trio.fail_after(10):
        target = target_of(await answer_once(nursery, answer))
        with pytest.raises(LinkFailed, match=words) as failed:
            async with open_camera_socket(target, KEY):
                pytest.fail("there is no WebSocket")
    assert "\x1b" not in str(failed.value)


async def test_socket_when_the_handshake_is_never_answered_then_gives_up_after_ten_seconds(nursery, autojump_clock):
    autojump_clock.autojump_threshold = 0.2
    began = trio.current_time()
    target = target_of(await answer_once(nursery, None))
    with pytest.raises(LinkFailed, match=r"no answer from 127\.0\.0\.1:.* in 10 s"):
        async with open_camera_socket(target, KEY):
            pytest.fail("there is no WebSocket")
    assert trio.current_time() - began == pytest.approx(10, abs=1)


async def test_socket_when_the_default_port_is_not_used_then_the_host_header_names_it(nursery):
    seen = []
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with trio.fail_after(10):
        port = await answer_once(nursery, answer, seen)
        with pytest.raises(LinkFailed):
            async with open_camera_socket(target_of(port), KEY):
                pytest.fail("there is no WebSocket")
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in seen[0]
    assert KEY.encode() not in seen[0].split(b"\r\n")[0]
