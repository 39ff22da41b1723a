"""Requests that two parsers may understand differently: never a second request hidden in a first."""

from __future__ import annotations

import pytest
import trio

from tests.net.site import open_site
from tests.support.peer import connect

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"0\r\n\r\n"


def post(headers: bytes, body: bytes = CHUNKED + HIDDEN) -> bytes:
    return b"POST /open HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + body


@pytest.mark.parametrize(
    "attack",
    [
        post(b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % (len(CHUNKED + HIDDEN))),
        post(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
        post(b"Content-Length: 0\r\nContent-Length: 33\r\n"),
        post(b"Content-Length: 0, 33\r\n"),
        post(b"Content-Length: +5\r\n"),
        post(b"Content-Length: 0x5\r\n"),
        post(b"Content-Length: 5 5\r\n"),
        post(b"Content-Length : 5\r\n"),
        post(b"Content-Length\r\n"),
        post(b"Transfer-Encoding: xchunked\r\n"),
        post(b"Transfer-Encoding: chunked, identity\r\n"),
        post(b"Transfer-Encoding: identity\r\n"),
        post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        post(b"Transfer-Encoding\x0b: chunked\r\n"),
        post(b"Transfer-Encoding : chunked\r\n"),
        post(b"X: y\rTransfer-Encoding: chunked\r\n"),
        post(b"Transfer-Encoding: chunked\r\n").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        post(b"Transfer-Encoding: chunked\r\n", b"5\n\rhello\r\n0\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding: chunked\r\n", b"2\r\nabXX0\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding: chunked\r\n", b"-1\r\n\r\n" + HIDDEN),
        post(b"Transfer-Encoding: chunked\r\n", b"0x1\r\na\r\n0\r\n\r\n" + HIDDEN),
        b" " + HIDDEN,
        b"GET /open\x00 HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN,
        b"GET /open HTTP/1.1\r\nHost: x\r\n\tfolded\x00: y\r\n\r\n" + HIDDEN,
        b"GET /open HTTP/1.1\r\n folded: at the start\r\nHost: x\r\n\r\n" + HIDDEN,
    ],
)
async def test_front_when_the_length_is_ambiguous_then_it_refuses_and_closes(attack: bytes) -> None:
    async with open_site() as site, connect(site.port) as client:
        await client.send(attack)
        with trio.fail_after(3):
            while await client.more():
                pass
        assert client.data.count(b"HTTP/1.1 ") <= 1
        assert not client.data or client.data.split(b" ")[1] in (b"400", b"501")
        assert b"/hidden" not in client.data


async def test_front_when_a_header_is_folded_or_lines_end_in_lf_then_it_is_still_one_request_each() -> None:
    async with open_site() as site, connect(site.port) as client:
        await client.send(b"POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")
        assert (await client.reply()).body == b"POST /open 0"
        await client.send(b"POST /open HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello" + HIDDEN)
        assert (await client.reply()).body == b"POST /open 5"
        assert (await client.reply()).body == b"GET /hidden 0"


@pytest.mark.parametrize("headers", [b"Content-Length: 33\r\n", b"Transfer-Encoding: chunked\r\n"])
@pytest.mark.parametrize("path", [b"/live/live/cam1/frame.jpg", b"/live/none/cam1/mjpeg", b"/live/ws"])
async def test_doors_when_a_get_has_a_body_then_it_is_never_read_as_the_next_request(
    headers: bytes, path: bytes
) -> None:
    async with open_site() as site, connect(site.port) as client:
        await client.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + HIDDEN)
        reply = await client.reply()
        assert reply.status in (404, 503)
        assert reply.headers["connection"] == "close"
        assert await client.ended()
