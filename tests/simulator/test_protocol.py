from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.simulator.protocol import (
    Complaint,
    Ready,
    explain_close,
    format_stats,
    parse_message,
    printable,
)

READY = {"type": "ready", "room": "live-cam1", "maxFps": 15, "maxFrameBytes": 1000, "streamId": "x", "new": [1]}


def test_ready_when_complete_then_gives_the_limits():
    assert parse_message(json.dumps(READY)) == Ready("live-cam1", 15.0, 1000)


@pytest.mark.parametrize(
    "change",
    [{"maxFps": 0}, {"maxFps": "15"}, {"maxFrameBytes": -1}, {"maxFrameBytes": None}, {"room": 1}, {"type": "x"}],
)
def test_ready_when_a_limit_makes_no_sense_then_is_ignored(change):
    assert parse_message(json.dumps(READY | change)) is None


def test_error_when_it_holds_terminal_commands_then_they_are_gone():
    found = parse_message(json.dumps({"type": "error", "code": "4401", "message": "bad\x1b[2J\nkey"}))
    assert found == Complaint("4401", "bad?[2J?key")


@given(st.text() | st.recursive(st.none() | st.text() | st.floats(), lambda c: st.lists(c)).map(json.dumps))
def test_any_text_when_parsed_then_never_raises(text):
    assert parse_message(text) is None


def test_text_nested_deeply_when_parsed_then_is_ignored():
    assert parse_message("[" * 100_000) is None


def test_stats_when_formatted_then_have_the_keys_of_an_esp32():
    text = format_stats(fps=9.96, rssi=-61, heap_free=151_000, frames=300)
    assert json.loads(text) == {"type": "stats", "fps": 10.0, "rssi": -61, "heapFree": 151_000, "frames": 300}


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (4401, "invalid_app"),
        (4401, "invalid_room"),
        (4401, "invalid_key"),
        (4401, "unknown_app"),
        (4401, "room_mismatch"),
        (4401, "key revoked"),
        (4401, "handshake_error"),
        (4403, "ws_ingest_disabled"),
        (4403, "quota_exceeded"),
        (4403, "max_cameras"),
        (4413, "frame too large"),
        (4409, "replaced by new connection"),
        (4409, "room busy"),
        (4429, "rate_limited"),
    ],
)
def test_close_when_the_contract_names_the_reason_then_has_its_own_advice(code, word):
    what, hint = explain_close(code, word, Complaint(str(code), word))
    assert what == f"closed by the server: {word} ({code})"
    assert hint not in ("", explain_close(code, None, None)[1]) or word == "frame too large"


def test_close_when_the_reason_is_new_then_the_code_decides_the_advice():
    what, hint = explain_close(4401, "new_word", None)
    assert what == "closed by the server: new_word (4401)"
    assert "key, app and room" in hint


def test_close_when_a_message_came_before_then_both_are_told():
    what, _ = explain_close(4413, "frame too large", Complaint("frame_too_large", "max 262144 bytes"))
    assert what == "closed by the server: frame too large (4413): max 262144 bytes"


def test_close_when_the_link_broke_then_says_so_and_advises_nothing():
    assert explain_close(1006, None, None) == ("the connection broke", "")


def test_printable_when_the_text_is_long_then_is_cut():
    assert len(printable("x" * 1000)) == 200
