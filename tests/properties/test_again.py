"""A head that is like one before is read as h11 reads it, or left to h11."""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from streamhub.model.urls import Base
from streamhub.net.again import Again
from streamhub.net.connection import Taken
from streamhub.net.kept import QuickDoor, Sending
from streamhub.net.peers import Peer

HEADS = [
    b"Host: x\r\n\r\n",
    b'Host: x\r\nUser-Agent: wrk\r\nIf-None-Match: "a"\r\n\r\n',
    b"Host: x\r\nConnection: close\r\n\r\n",
    b"Host: x\r\nContent-Length: 3\r\n\r\n",
    b"Host: x\r\nUpgrade: websocket\r\n\r\n",
    b"Host: x\nAccept: a\r\n\r\n",
    b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"Accept: a\r\n\r\n",
    b"\r\n",
    b"",
]
LINES = [
    b"GET /a HTTP/1.1",
    b"GET /a?b=c&b=d&t=%2f HTTP/1.1",
    b'GET /%41%00%ff/"<>\\^`{|}~ HTTP/1.1',
    b"GET //x/a HTTP/1.1",
    b"GET http://y/a HTTP/1.1",
    b"GET * HTTP/1.1",
    b"HEAD /a HTTP/1.1",
    b"POST /a HTTP/1.1",
    b"GET /a HTTP/1.0",
    b"GET /a  HTTP/1.1",
    b"GET /a HTTP/1.1\r\nHost: y",
    b"GET /a HTTP/1.1\nHost: y",
    b" GET /a HTTP/1.1",
    b"GET /a\x80 HTTP/1.1",
    b"GET /\tHTTP/1.1",
]
any_line = st.sampled_from(LINES) | st.binary(max_size=30).map(lambda x: b"GET /" + x + b" HTTP/1.1") | st.binary()
any_head = st.sampled_from(HEADS) | st.binary(max_size=20).map(lambda x: b"Host: x\r\n" + x + b"\r\n\r\n")


class Quick(QuickDoor):
    async def __call__(self, taken: Taken) -> None:
        raise AssertionError

    def at_once(self, taken: Taken) -> Sending | None:
        return Sending(b"yes")


def again() -> Again:
    peer, door = Peer("127.0.0.1", Base("http", "x")), Quick()

    def take(request: h11.Request) -> Taken:
        stream: Any = None
        headers = list(request.headers)
        # As Front makes it; path and query come of the target, which is compared.
        return Taken(request.method.decode(), "", {}, headers, request.target, stream, b"", peer, request.http_version)

    return Again(lambda _method, _path, _upgrade: door, take)


@given(st.lists(st.tuples(any_line, any_head), min_size=1, max_size=6))
@example([(LINES[0], HEADS[0]), (LINES[11], HEADS[0])])
@example([(LINES[0], HEADS[4]), (LINES[1], HEADS[4])])
@example([(LINES[0], HEADS[2]), (LINES[1], HEADS[2])])
def test_parse_when_a_connection_asked_before_then_it_reads_the_same_as_one_that_did_not(
    asked: list[tuple[bytes, bytes]],
) -> None:
    used = again()
    for line, head in asked:
        data = line + b"\r\n" + head
        found, anew = used.parse(data), again().parse(data)
        assert (found is None) == (anew is None)
        if found is None or anew is None:
            continue
        one, other = found.taken, anew.taken
        assert (one.method, one.target, one.http_version) == (other.method, other.target, other.http_version)
        assert one.headers == other.headers
        # Nothing is answered at once after which the connection must not go on.
        quick = one.keeps_alive and isinstance(found.door, Quick)
        assert (found.quick is not None) == (anew.quick is not None) == quick


def test_parse_when_only_the_target_is_another_then_h11_is_not_asked() -> None:
    used = again()
    assert used.parse(b"GET /a?x=1 HTTP/1.1\r\nHost: x\r\n\r\n") is not None
    used.take = lambda _request: 1 / 0  # type: ignore[assignment,return-value]
    found = used.parse(b"GET /b%20c?x=%31&x=2&y HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found is not None
    assert (found.taken.path, found.taken.query) == ("/b c", {"x": "1", "y": ""})
