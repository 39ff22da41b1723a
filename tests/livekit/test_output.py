"""What of livekit-server's output reaches our log, and at which level."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from streamhub.livekit.output import MOST_LINE_BYTES, Forwarder


def line(**fields: Any) -> bytes:
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("debug", "debug"),
        ("info", "debug"),
        ("warn", "info"),
        ("error", "warning"),
        ("fatal", "error"),
        ("odd", "info"),
    ],
)
def test_line_when_forwarded_then_its_level_is_one_less_alarming(
    theirs: str, ours: str, logged: Callable[[], str]
) -> None:
    Forwarder(deque()).feed(line(level=theirs, msg="hello", room="live-a", caller="x.go:1"))
    entry = json.loads(logged())
    assert (entry["level"], entry["event"], entry["room"]) == (ours, "hello", "live-a")
    assert "caller" not in entry


def test_line_when_it_holds_secrets_then_they_are_dropped_or_masked(logged: Callable[[], str]) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJBUEkifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
    forwarder = Forwarder(deque(maxlen=5))
    forwarder.feed(line(level="error", msg="webhook failed", event={"room": {"turn_password": "hunter2"}}))
    forwarder.feed(line(level="error", msg="bad token", error=f"invalid token: {token}", authorization="Bearer x"))
    assert "hunter2" not in logged()
    assert token not in logged()
    assert "Bearer x" not in logged()
    assert token not in "".join(forwarder.said)
    assert "eyJ…" in "".join(forwarder.said)


def test_bytes_when_they_come_in_pieces_then_lines_are_whole(logged: Callable[[], str]) -> None:
    forwarder = Forwarder(deque())
    for byte in line(level="warn", msg="één") + line(level="warn", msg="two"):
        forwarder.feed(bytes([byte]))
    assert [json.loads(one)["event"] for one in logged().splitlines()] == ["één", "two"]


def test_line_when_it_is_not_json_then_it_is_a_warning_and_a_reason_to_have_ended(logged: Callable[[], str]) -> None:
    said: deque[str] = deque(maxlen=5)
    Forwarder(said).feed(b"panic: runtime error\n\n[1, 2]\n{broken\n")
    assert [json.loads(one)["level"] for one in logged().splitlines()] == ["warning"] * 3
    assert list(said) == ["panic: runtime error", "[1, 2]", "{broken"]


def test_line_when_it_has_no_end_then_memory_is_not_filled_and_the_next_line_is_seen(logged: Callable[[], str]) -> None:
    forwarder = Forwarder(deque())
    for _ in range(40):
        forwarder.feed(b"x" * (MOST_LINE_BYTES // 10))
        assert len(forwarder._rest) <= MOST_LINE_BYTES
    forwarder.feed(b"the rest of it\n" + line(level="warn", msg="next"))
    assert [json.loads(one)["event"] for one in logged().splitlines()] == ["next"]
