"""The server's side of a WebSocket without any I/O, talked to by wsproto."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage

from streamhub.model.urls import Base
from streamhub.net.connection import Taken
from streamhub.net.peers import Peer
from streamhub.net.websocket import MOST_FRAMES_AT_ONCE, Opcode, ServerSocket, accept
from tests.support.device import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame

MOST = 10_000


def taken(request: bytes, method: str = "GET") -> Taken:
    """The upgrade as the front hands it over; there is no stream, for nothing here may touch it."""
    first, *lines = request.decode().split("\r\n\r\n")[0].split("\r\n")
    headers = [(k.lower().encode(), v.strip().encode()) for k, _, v in (line.partition(":") for line in lines)]
    target = first.split(" ")[1].encode()
    peer = Peer("192.0.2.1", Base("http", "hub"))
    return Taken(method, "/ingest/ws", {}, headers, target, None, b"", peer)  # type: ignore[arg-type]


def pair() -> tuple[ServerSocket, WSConnection]:
    """An open connection: ours and wsproto's."""
    client = WSConnection(ConnectionType.CLIENT)
    server = accept(taken(client.send(Request("hub", "/ingest/ws?a=b", subprotocols=["x", "y"]))), MOST)
    client.receive_data(server.outgoing())
    (accepted,) = client.events()
    assert isinstance(accepted, AcceptConnection)
    assert accepted.subprotocol == "x"
    assert server.open
    return server, client


def test_accept_when_a_library_asks_then_it_is_satisfied() -> None:
    server, _ = pair()
    assert not server.has_outgoing
    assert server.outgoing() == b""
    assert server.close_code is None


def test_messages_when_either_sends_then_the_other_gets_them() -> None:
    server, client = pair()
    sent = client.send(TextMessage("ü")) + client.send(BytesMessage(b"\xff\xd8")) + client.send(Pong(b"x"))
    assert server.receive(sent) == [(Opcode.TEXT, "ü".encode()), (Opcode.BINARY, b"\xff\xd8"), (Opcode.PONG, b"")]
    server.text("€")
    server.ping()
    assert server.has_outgoing
    client.receive_data(server.outgoing())
    text, ping = client.events()
    assert isinstance(text, TextMessage)
    assert isinstance(ping, Ping)
    assert (text.data, ping.payload) == ("€", b"")


def test_ping_when_the_peer_sends_one_then_the_pong_waits_in_outgoing() -> None:
    server, client = pair()
    assert server.receive(client.send(Ping(b"hello"))) == []
    client.receive_data(server.outgoing())
    (pong,) = client.events()
    assert isinstance(pong, Pong)
    assert pong.payload == b"hello"


def test_close_when_we_close_then_code_and_reason_arrive_and_nothing_more_is_queued() -> None:
    server, client = pair()
    server.close(4408, "idle timeout")
    server.close(4401, "again")
    server.text("late")
    server.ping()
    client.receive_data(server.outgoing())
    (closed,) = client.events()
    assert isinstance(closed, CloseConnection)
    assert (closed.code, closed.reason) == (4408, "idle timeout")
    assert not server.open
    assert server.receive(client.send(closed.response())) == []
    assert server.receive(b"") == []


def test_close_when_the_peer_closes_then_it_is_echoed() -> None:
    server, client = pair()
    assert server.receive(client.send(CloseConnection(1001, "sleep"))) == []
    assert not server.open
    assert server.close_code == 1001
    client.receive_data(server.outgoing())
    (closed,) = client.events()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1001


def test_end_when_the_peer_vanishes_then_not_open_and_nothing_to_say() -> None:
    server, _ = pair()
    assert server.receive(b"") == []
    assert not server.open
    assert server.outgoing() == b""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(BINARY, b"x", masked=False), 1002),
        (frame(CONT, b"x"), 1002),
        (frame(BINARY, b"x" * (MOST + 1)), 1009),
        (frame(BINARY, b"x" * MOST, fin=False) + frame(CONT, b"y"), 1009),
    ],
)
def test_receive_when_the_protocol_is_broken_then_our_close_waits_in_outgoing(data: bytes, code: int) -> None:
    server, client = pair()
    assert server.receive(frame(TEXT, b"before") + data + frame(TEXT, b"after")) == [(Opcode.TEXT, b"before")]
    assert not server.open
    assert server.close_code == code
    client.receive_data(server.outgoing())
    (closed,) = client.events()
    assert isinstance(closed, CloseConnection)
    assert closed.code == code


@pytest.mark.parametrize("kind", [frame(PING), frame(PONG), frame(TEXT, b"{}")])
def test_receive_when_a_flood_of_tiny_frames_comes_then_1008(kind: bytes) -> None:
    server, client = pair()
    server.receive(kind * MOST_FRAMES_AT_ONCE)
    assert server.open
    server.outgoing()
    assert server.receive(kind * (MOST_FRAMES_AT_ONCE + 1)) == []
    assert not server.open
    client.receive_data(server.outgoing())
    *_, closed = client.events()
    assert isinstance(closed, CloseConnection)
    assert (closed.code, closed.reason) == (1008, "too many frames")


def test_receive_when_as_large_as_allowed_then_it_is_a_message() -> None:
    server, _ = pair()
    assert server.receive(frame(BINARY, b"x" * MOST)) == [(Opcode.BINARY, b"x" * MOST)]
    assert server.receive(frame(BINARY, b"x" * (MOST - 1), fin=False) + frame(CONT, b"y")) == [
        (Opcode.BINARY, b"x" * (MOST - 1) + b"y")
    ]


@pytest.mark.parametrize(("method", "header"), [("POST", ""), ("GET", "Content-Length: 3\r\n")])
def test_accept_when_it_is_no_upgrade_then_there_is_an_answer_and_it_is_not_open(method: str, header: str) -> None:
    request = WSConnection(ConnectionType.CLIENT).send(Request("hub", "/ingest/ws"))
    server = accept(taken(request.replace(b"\r\n\r\n", b"\r\n" + header.encode() + b"\r\n"), method), MOST)
    assert not server.open
    assert server.has_outgoing
    assert server.outgoing().startswith(b"HTTP/1.1 40")
    assert not server.has_outgoing
    assert server.outgoing() == b""


MESSAGES = st.lists(
    st.tuples(st.sampled_from([TEXT, BINARY]), st.lists(st.binary(max_size=300), min_size=1, max_size=4)), max_size=8
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MESSAGES, st.lists(st.integers(1, 400), min_size=1, max_size=20), st.booleans())
def test_receive_when_messages_come_in_pieces_then_they_are_the_same(
    messages: list[tuple[int, list[bytes]]], cuts: list[int], pings: bool
) -> None:
    data = b""
    for opcode, pieces in messages:
        for n, piece in enumerate(pieces):
            data += frame(opcode if n == 0 else CONT, piece, fin=n == len(pieces) - 1)
            data += frame(PING, b"between") if pings else b""
    server, _ = pair()
    got, n = [], 0
    while data:
        size = cuts[n % len(cuts)]
        got += server.receive(data[:size])
        data, n = data[size:], n + 1
    assert got == [(Opcode(opcode), b"".join(pieces)) for opcode, pieces in messages]
    assert server.open


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=60) | st.sampled_from([frame(PONG), frame(CLOSE), close_frame(1000)]), max_size=10))
def test_receive_when_given_anything_then_it_never_raises(pieces: list[bytes]) -> None:
    server, _ = pair()
    for piece in pieces:
        if piece:
            server.receive(piece)
        server.outgoing()
    server.receive(b"")
    assert not server.open


FRAMES = st.builds(
    frame,
    st.sampled_from([BINARY, BINARY, TEXT, CONT, PING, PONG, CLOSE, 3]),
    st.binary(max_size=80) | st.sampled_from([b"x" * 126, b"y" * 300, b"z" * (MOST + 1)]),
    fin=st.sampled_from([True, True, True, False]),
    masked=st.sampled_from([True] * 9 + [False]),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAMES | st.binary(max_size=5), max_size=8), st.lists(st.integers(1, 400), min_size=1, max_size=4))
def test_receive_when_given_anything_then_it_is_what_the_library_alone_would_say(
    pieces: list[bytes], cuts: list[int]
) -> None:
    ours, alone = pair()[0], pair()[0]
    alone._library_only = True
    data, expected, got, n = b"".join(pieces), [], [], 0
    if data:
        expected = alone.receive(data)
    while data:
        size = cuts[n % len(cuts)]
        shared = bytearray(data[:size])
        got += ours.receive(memoryview(shared))
        shared[:] = bytes(len(shared))  # the buffer belongs to another connection now
        data, n = data[size:], n + 1
    assert expected == got + ours.receive(b"")
    alone.receive(b"")
    assert (ours.open, ours.close_code) == (alone.open, alone.close_code)
    assert ours.outgoing() == alone.outgoing()
