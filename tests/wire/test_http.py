"""The doors' own answers, read by h11."""

from __future__ import annotations

import json

import h11
import pytest

from streamhub.errors import FieldProblem, Invalid, StreamHubError, TooMany, Unauthorized
from streamhub.wire.http import format_error, format_head


def read(data: bytes, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head.status_code, {k.decode(): v.decode() for k, v in head.headers}, body


def test_format_head_when_written_then_it_is_a_status_line_headers_and_an_empty_line() -> None:
    assert format_head(200, [("Content-Type", "image/jpeg"), ("ETag", '"1"')]) == (
        b'HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nETag: "1"\r\n'
        b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\r\n"
    )


def test_format_head_when_a_value_is_not_latin_1_then_it_is_replaced_not_an_error() -> None:
    assert b"X: ??\r\n" in format_head(503, [("X", "€→")])


@pytest.mark.parametrize("error", [StreamHubError("müll"), Unauthorized("no"), TooMany("full", retry_after_s=7)])
def test_format_error_when_sent_then_a_client_reads_the_one_shape(error: StreamHubError) -> None:
    status, headers, body = read(format_error(error))
    assert status == error.status
    assert json.loads(body) == error.body()
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["access-control-allow-origin"] == "*"
    assert headers.get("retry-after") == ("7" if isinstance(error, TooMany) else None)
    assert "connection" not in headers


def test_format_error_when_it_has_fields_then_they_are_listed() -> None:
    error = Invalid("bad", fields=[FieldProblem("fps", "must be a number")])
    assert json.loads(read(format_error(error))[2])["fields"] == [{"path": "fps", "message": "must be a number"}]


def test_format_error_when_only_the_head_is_wanted_then_the_length_is_that_of_the_whole() -> None:
    whole = format_error(Unauthorized("no"))
    head = format_error(Unauthorized("no"), head_only=True)
    assert whole.startswith(head)
    assert head.endswith(b"\r\n\r\n")
    assert int(read(head, "HEAD")[1]["content-length"]) == len(whole) - len(head)


def test_format_error_when_the_connection_ends_then_it_says_so() -> None:
    assert read(format_error(Unauthorized("no"), close=True))[1]["connection"] == "close"
