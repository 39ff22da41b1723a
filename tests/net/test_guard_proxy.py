"""The guarded proxy with plain requests: who may use it, what it passes on, what it refuses."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest
import trio

from streamhub.net import guard_proxy
from streamhub.net.guard import OutboundRules
from streamhub.net.guard_proxy import GuardedProxy
from tests.net.origin import origin
from tests.support.waiting import eventually

LOOPBACK = OutboundRules([ip_network("127.0.0.0/8")])


@asynccontextmanager
async def running(rules: OutboundRules = LOOPBACK, idle_s: float = 60.0) -> AsyncIterator[GuardedProxy]:
    proxy = GuardedProxy(rules, idle_s)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.run)
            yield proxy
            nursery.cancel_scope.cancel()


def credentials(proxy: GuardedProxy, label: str = "IN_1") -> str:
    parts = urlsplit(proxy.url(label))
    return "Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()


async def talk(proxy: GuardedProxy, request: str, *, authorised: bool = True) -> bytes:
    """What comes back until the end."""
    if authorised:
        line, _, rest = request.partition("\r\n")
        request = f"{line}\r\nProxy-Authorization: {credentials(proxy)}\r\n{rest}"
    async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        await stream.send_all(request.encode())
        return b"".join([part async for part in stream])


def get(url: str, method: str = "GET") -> str:
    return f"{method} {url} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\nUser-Agent: Lavf\r\n\r\n"


async def test_get_then_the_origin_is_asked_for_its_path_and_never_sees_the_credentials() -> None:
    async with running() as proxy, origin() as served:
        served.put("/a.ts?x=1", b"media")
        answer = await talk(proxy, get(f"http://127.0.0.1:{served.port}/a.ts?x=1#part"))
        assert answer == served.answers["/a.ts?x=1"]
        (head,) = served.heads
        lines = head.decode().split("\r\n")
        assert lines[0] == "GET /a.ts?x=1 HTTP/1.1"
        assert set(lines[1:-2]) == {f"Host: 127.0.0.1:{served.port}", "user-agent: Lavf", "Connection: close"}
        assert proxy.refusal("IN_1") is None


async def test_connect_then_bytes_both_ways_until_both_have_ended() -> None:
    async with running() as proxy, trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def echo(stream: trio.SocketStream) -> None:
            async for data in stream:
                await stream.send_all(data.upper())
            await stream.send_all(b" over")
            await stream.send_eof()

        nursery.start_soon(trio.serve_listeners, echo, [listener])
        place = f"127.0.0.1:{listener.socket.getsockname()[1]}"
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            head = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: {credentials(proxy)}\r\n\r\n"
            await stream.send_all(head.encode() + b"early ")
            await stream.send_all(b"late")
            await stream.send_eof()
            answer = b"".join([part async for part in stream])
        assert answer == b"HTTP/1.1 200 Connection established\r\n\r\nEARLY LATE over"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("header", ["", "Proxy-Authorization: Basic {}\r\n", "Proxy-Authorization: Bearer x\r\n"])
async def test_stranger_then_407_and_nothing_is_opened(header: str) -> None:
    wrong = base64.b64encode(b"IN_1:guessed").decode()
    async with running() as proxy, origin() as served:
        request = get(f"http://127.0.0.1:{served.port}/").replace("\r\n\r\n", f"\r\n{header.format(wrong)}\r\n")
        answer = await talk(proxy, request, authorised=False)
        assert answer.startswith(b"HTTP/1.1 407 ")
        assert b'Proxy-Authenticate: Basic realm="relay"' in answer
        assert served.heads == []


async def test_address_when_it_is_denied_then_403_that_says_why_and_the_label_keeps_it() -> None:
    async with running(OutboundRules()) as proxy, origin() as served:
        for request in (
            get(f"http://127.0.0.1:{served.port}/"),
            f"CONNECT 127.0.0.1:{served.port} HTTP/1.1\r\nHost: x\r\n\r\n",
        ):
            answer = (await talk(proxy, request)).decode()
            assert answer.startswith("HTTP/1.1 403 127.0.0.1 is this machine itself (loopback): STREAMHUB_OUTBOUND_")
            assert str(proxy.refusal("IN_1")).startswith("127.0.0.1 is this machine itself")
            assert proxy.refusal("IN_1") is None
        assert served.heads == []


async def test_name_then_it_is_connected_to_the_addresses_judged() -> None:
    async def resolve(host: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return {"cam.test": ["10.9.9.9", "127.0.0.1"]}.get(host, [])

    async with running(OutboundRules([ip_network("127.0.0.0/8")], resolve)) as proxy, origin() as served:
        served.put("/", b"x")
        answer = await talk(proxy, get(f"http://cam.test:{served.port}/"))
        assert answer.endswith(b"\r\n\r\nx")
        assert f"Host: cam.test:{served.port}".encode() in served.heads[0]
        answer = await talk(proxy, get("http://nowhere.test/"))
        assert answer.startswith(b"HTTP/1.1 502 the name 'nowhere.test' has no address")


async def test_source_when_nobody_listens_then_502_that_says_so() -> None:
    async with running() as proxy:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        await listener.aclose()
        answer = await talk(proxy, get(f"http://127.0.0.1:{port}/"))
        assert answer.startswith(f"HTTP/1.1 502 cannot connect to 127.0.0.1:{port}: connection refused".encode())


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (get("http://127.0.0.1/", "POST").replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"), 405),
        (get("https://127.0.0.1/"), 400),
        (get("http://user:pass@127.0.0.1/"), 400),
        (get("http://127.0.0.1:99999/"), 400),
        (get("http://[::/"), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT 127.0.0.1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT :80 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nX: " + "y" * 40_000 + "\r\n\r\n", 431),
    ],
)
async def test_request_when_it_cannot_be_passed_on_then_refused(request_text: str, status: int) -> None:
    async with running() as proxy:
        answer = await talk(proxy, request_text)
        assert re.match(rb"HTTP/1.1 (\d+)", answer)[1] == str(status).encode()  # type: ignore[index]


async def test_connection_when_nothing_moves_then_it_is_closed() -> None:
    async with running(idle_s=0.05) as proxy, origin() as served:
        assert await talk(proxy, get(f"http://127.0.0.1:{served.port}/silent")) == b""


async def test_connection_when_no_request_comes_then_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_proxy, "HEAD_S", 0.05)
    async with running() as proxy, await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
        assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 408 ")


async def test_connections_when_too_many_then_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_proxy, "MOST_CONNECTIONS", 1)
    async with running() as proxy:
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port):
            await eventually(lambda: proxy._open == 1)
            assert (await talk(proxy, get("http://127.0.0.1/"))).startswith(b"HTTP/1.1 503 more than 1 ")
        await eventually(lambda: proxy._open == 0)


async def test_worker_when_it_leaves_then_the_source_is_left_too() -> None:
    async with running() as proxy, origin() as served:
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            request = get(f"http://127.0.0.1:{served.port}/silent")
            line, _, rest = request.partition("\r\n")
            await stream.send_all(f"{line}\r\nProxy-Authorization: {credentials(proxy)}\r\n{rest}".encode())
            await eventually(lambda: len(served.heads) == 1)
        await eventually(lambda: proxy._open == 0)
