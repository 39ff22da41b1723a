"""The signalling door between a client and a server that are both written by hand: what passes is exact."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import trio

from streamhub.livekit import signal_pipe
from streamhub.livekit.server import LiveKit
from streamhub.livekit.signal_pipe import SignalDoor, is_signal_path
from streamhub.model.urls import Base
from streamhub.net.connection import Taken
from streamhub.net.peers import Header, Peer
from tests.livekit.conftest import KEYS

UPGRADE: list[Header] = [
    (b"host", b"cams.example"),
    (b"upgrade", b"websocket"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"sec-websocket-key", b"abc"),
]
PLAIN: list[Header] = [(b"host", b"cams.example")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
Behave = Callable[[trio.SocketStream, bytes], Awaitable[None]]


async def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        one = await trio.open_tcp_stream(*listener.socket.getsockname())
        return one, await listener.accept()


async def read_head(stream: trio.abc.ReceiveStream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = bytes(await stream.receive_some(4096))
        assert data, head
        head += data
    return head


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    found = b""
    with trio.fail_after(10):
        async for data in stream:
            found += bytes(data)
    return found


@asynccontextmanager
async def piped(
    behave: Behave,
    target: bytes = b"/rtc",
    headers: Sequence[Header] = UPGRADE,
    method: str = "GET",
    rest: bytes = b"",
) -> AsyncIterator[tuple[trio.SocketStream, Taken]]:
    """A request at the door, in front of a server that behaves so; gives the client's end and the request.

    As the front does, the client's connection is closed after the door unless it was answered.
    """
    livekit = LiveKit(KEYS, managed=True)
    client, ours = await socket_pair()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    livekit.set_ready(f"http://127.0.0.1:{listener.socket.getsockname()[1]}", "1.13.5")
    taken = Taken(
        method=method,
        path=target.decode().partition("?")[0],
        query={},
        headers=list(headers),
        target=target,
        stream=ours,
        rest=rest,
        peer=Peer("203.0.113.9", Base("https", "cams.example")),
    )

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await behave(stream, await read_head(stream))

    async def door() -> None:
        await SignalDoor(livekit)(taken)
        if not taken.answered:
            await trio.aclose_forcefully(ours)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, [listener])
        nursery.start_soon(door)
        with trio.fail_after(20):
            yield client, taken
        nursery.cancel_scope.cancel()
    await trio.aclose_forcefully(client)
    await trio.aclose_forcefully(ours)


async def test_upgrade_when_agreed_then_both_directions_pass_as_they_are() -> None:
    async def echo(stream: trio.SocketStream, _head: bytes) -> None:
        await stream.send_all(SWITCH + b"\x82\x01!")
        async for data in stream:
            await stream.send_all(b"<" + bytes(data) + b">")

    async with piped(echo, rest=b"early") as (client, _):
        wanted = SWITCH + b"\x82\x01!<early>"
        found = b""
        while len(found) < len(wanted):
            found += bytes(await client.receive_some(4096))
        assert found == wanted
        await client.send_all(b"\x00\xff")
        await client.send_eof()
        assert await read_all(client) == b"<\x00\xff>", "what comes after the client's end still arrives"


async def test_request_as_forwarded_names_the_client_and_nothing_it_invented() -> None:
    seen: list[bytes] = []

    async def look(stream: trio.SocketStream, head: bytes) -> None:
        seen.append(head)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    sent = [
        *PLAIN,
        (b"x-forwarded-for", b"6.6.6.6"),
        (b"cf-connecting-ip", b"6.6.6.6"),
        (b"x-real-ip", b"6.6.6.6"),
        (b"forwarded", b"for=6.6.6.6"),
        (b"cookie", b"session=ours"),
        (b"connection", b"x-hop"),
        (b"x-hop", b"1"),
        (b"authorization", b"Bearer token"),
    ]
    async with piped(look, b"/rtc/validate?access_token=x", sent) as (client, _):
        await read_all(client)
    lines = seen[0].decode().lower().split("\r\n")
    assert lines[0] == "get /rtc/validate?access_token=x http/1.1"
    assert "x-forwarded-for: 203.0.113.9" in lines
    assert "x-forwarded-proto: https" in lines
    assert "authorization: bearer token" in lines
    assert "connection: close" in lines
    assert not [line for line in lines if "6.6.6.6" in line or "cookie" in line or "x-hop" in line]
    assert "host: cams.example" not in lines, "it is called by its own name"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nX-Odd:  y \r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ],
)
async def test_answer_passes_byte_for_byte(answer: bytes) -> None:
    async def slowly(stream: trio.SocketStream, _head: bytes) -> None:
        for byte in answer:
            await stream.send_all(bytes([byte]))

    async with piped(slowly, b"/rtc/v1", PLAIN) as (client, taken):
        found = b""
        while len(found) < len(answer):
            found += bytes(await client.receive_some(4096))
        assert found == answer
        if b"Connection: close" in answer or b"until" in answer:
            assert await read_all(client) == b""
            assert not taken.answered


async def test_upgrade_when_refused_then_nothing_more_of_the_client_reaches_livekit() -> None:
    got: list[bytes] = []
    ended = trio.Event()

    async def refuse(stream: trio.SocketStream, head: bytes) -> None:
        got.append(head)
        await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
        try:
            got.append(await read_all(stream))
        except trio.BrokenResourceError:
            got.append(b"")
        ended.set()

    smuggled = b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\n\r\n"
    async with piped(refuse, rest=smuggled) as (client, taken):
        await client.send_all(smuggled)
        assert (await client.receive_some(4096)).endswith(b"\r\n\r\nno")
        await ended.wait()
        assert b"twirp" not in b"".join(got)
        await trio.testing.wait_all_tasks_blocked()
        assert taken.answered, "the client may go on with its next request, at our own door"
        assert taken.rest == smuggled


@pytest.mark.parametrize(
    "target",
    [b"/rtc/../twirp/x", b"/rtc/./x", b"/rtc//x", b"/rtc/%2e%2e/twirp", b"/rtc/a%2Fb", b"/rtc/a\\..\\twirp"],
)
async def test_path_when_it_could_mean_another_one_then_404_of_ours(target: bytes) -> None:
    async with piped(never_reached, target, PLAIN) as (client, _):
        assert (await read_all(client)).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
async def test_method_when_not_one_of_signalling_then_405(method: str) -> None:
    async with piped(never_reached, headers=PLAIN, method=method) as (client, _):
        answer = await read_all(client)
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, HEAD, OPTIONS" in answer


async def test_request_when_it_has_a_body_then_400() -> None:
    async with piped(never_reached, headers=[*PLAIN, (b"content-length", b"5")]) as (client, _):
        await client.send_all(b"hello")
        assert (await read_all(client)).startswith(b"HTTP/1.1 400 ")


async def never_reached(_stream: trio.SocketStream, head: bytes) -> None:
    raise AssertionError(head)


async def test_door_when_there_is_no_livekit_then_503_says_what_to_do() -> None:
    client, ours = await socket_pair()
    taken = Taken(
        method="GET",
        path="/rtc",
        query={},
        headers=UPGRADE,
        target=b"/rtc",
        stream=ours,
        rest=b"",
        peer=Peer("127.0.0.1", Base("http", "x")),
    )
    async with client, ours, trio.open_nursery() as nursery:
        nursery.start_soon(SignalDoor(LiveKit(KEYS, managed=True)), taken)
        answer = await read_head(client)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"STREAMHUB_LIVEKIT_URL" in answer
        assert b"Connection: close" in answer
        await client.aclose()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-no\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Len"])
async def test_door_when_livekit_talks_nonsense_then_the_client_gets_an_error_or_an_end(answer: bytes) -> None:
    async def babble(stream: trio.SocketStream, _head: bytes) -> None:
        if answer:
            await stream.send_all(answer)

    async with piped(babble, headers=PLAIN) as (client, taken):
        found = await read_all(client)
        assert found == b"" or found.startswith(b"HTTP/1.1 503 ")
        assert not taken.answered


async def test_door_when_livekit_does_not_answer_then_503_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_pipe, "ANSWER_S", 0.05)

    async def silence(_stream: trio.SocketStream, _head: bytes) -> None:
        await trio.sleep_forever()

    async with piped(silence) as (client, _):
        assert (await read_all(client)).startswith(b"HTTP/1.1 503 ")


async def test_conversation_when_the_client_vanishes_then_livekit_sees_the_end() -> None:
    ended = trio.Event()

    async def converse(stream: trio.SocketStream, _head: bytes) -> None:
        await stream.send_all(SWITCH)
        try:
            await read_all(stream)
        except trio.BrokenResourceError:
            pass
        ended.set()

    async with piped(converse) as (client, _):
        await read_head(client)
        await client.aclose()
        await ended.wait()


async def test_conversation_when_livekit_ends_then_the_client_sees_it() -> None:
    async def end(stream: trio.SocketStream, _head: bytes) -> None:
        await stream.send_all(SWITCH + b"bye")

    async with piped(end) as (client, _):
        assert await read_all(client) == SWITCH + b"bye"


async def test_conversation_when_the_client_stops_reading_then_it_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_pipe, "SEND_S", 0.2)
    cut = trio.Event()

    async def flood(stream: trio.SocketStream, _head: bytes) -> None:
        await stream.send_all(SWITCH)
        try:
            while True:
                await stream.send_all(bytes(1 << 20))
        except trio.BrokenResourceError:
            cut.set()

    async with piped(flood):
        await cut.wait()


@pytest.mark.parametrize(
    ("path", "is_one"), [("/rtc", True), ("/rtc/v1", True), ("/rtcx", False), ("/twirp/rtc", False), ("/", False)]
)
def test_signal_path_is_rtc_and_below(path: str, is_one: bool) -> None:
    assert is_signal_path(path) is is_one
