from __future__ import annotations

import json

import pytest

from streamhub.model.access import CameraGrant, CameraHello, CameraLimits, Refusal
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.wire.camera import (
    MAX_STATS_BYTES,
    ROOM_BUSY,
    error_message,
    parse_hello,
    parse_stats,
    ready_message,
    refusal_message,
)

GOOD = {"app": "live", "room": "cam1", "key": "wsk_abc"}


def hello(query: dict[str, str], authorization: str | None = None) -> CameraHello | Refusal:
    return parse_hello(query, authorization, "192.0.2.7")


def test_parse_hello_when_all_is_given_then_it_is_passed_on_unchanged() -> None:
    assert hello(GOOD | {"identity": "door"}) == CameraHello("live", "cam1", "wsk_abc", "door", "192.0.2.7")


@pytest.mark.parametrize("app", ["", "-a", "_a", "a.b", "a b", "a/b", "é", "a" * 65, "a\n", "../x"])
def test_parse_hello_when_the_app_is_no_slug_then_invalid_app_comes_first(app: str) -> None:
    assert hello({"app": app, "room": "", "key": ""}) == Refusal(4401, "invalid_app")


def test_parse_hello_when_the_app_is_missing_then_invalid_app() -> None:
    assert hello({"room": "cam1", "key": "wsk_abc"}) == Refusal(4401, "invalid_app")


@pytest.mark.parametrize("room", ["", "-a", "_a", "a.b", "a b", "a/b", "é", "a" * 65, "cam1\n"])
def test_parse_hello_when_the_room_is_no_slug_then_invalid_room_comes_before_the_key(room: str) -> None:
    assert hello({"app": "live", "room": room, "key": ""}) == Refusal(4401, "invalid_room")


@pytest.mark.parametrize("slug", ["a", "A", "0", "a-b_C9", "a" * 64, "live-cam1"])
def test_parse_hello_when_app_and_room_are_slugs_then_they_pass(slug: str) -> None:
    assert isinstance(hello({"app": slug, "room": slug, "key": "wsk_"}), CameraHello)


@pytest.mark.parametrize("key", ["", "abc", "WSK_abc", "sk_abc", " wsk_abc"])
def test_parse_hello_when_the_key_starts_otherwise_then_invalid_key(key: str) -> None:
    assert hello(GOOD | {"key": key}) == Refusal(4401, "invalid_key")


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (None, "wsk_abc"),
        ("Bearer wsk_head", "wsk_head"),
        ("bearer wsk_head", "wsk_head"),
        ("  BEARER   wsk_head  ", "wsk_head"),
        ("Basic dXNlcjpwYXNz", "wsk_abc"),  # a proxy's own password is not ours to judge
    ],
)
def test_parse_hello_when_header_and_query_carry_keys_then_the_bearer_wins(authorization: str, key: str) -> None:
    found = hello(GOOD, authorization)
    assert isinstance(found, CameraHello)
    assert found.key == key


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer sk_wrong"])
def test_parse_hello_when_the_bearer_is_no_camera_key_then_the_query_does_not_save_it(authorization: str) -> None:
    assert hello(GOOD, authorization) == Refusal(4401, "invalid_key")


@pytest.mark.parametrize("identity", ["", "-x", "a b", "a" * 65, "../../x", "a\r\nb"])
def test_parse_hello_when_the_identity_is_odd_then_it_counts_as_none(identity: str) -> None:
    found = hello(GOOD | {"identity": identity})
    assert isinstance(found, CameraHello)
    assert found.identity is None


def test_refusal_message_when_formatted_then_the_code_is_a_string() -> None:
    message = refusal_message(Refusal(4401, "invalid_key"))
    assert json.loads(message) == {"type": "error", "code": "4401", "message": "invalid_key"}


def test_room_busy_when_sent_then_word_and_reason_differ() -> None:
    assert (ROOM_BUSY.close_code, ROOM_BUSY.message, ROOM_BUSY.reason) == (4409, "room_busy", "room busy")


def test_error_message_when_formatted_then_the_code_is_a_word() -> None:
    message = json.loads(error_message("frame_too_large", "max 262144 bytes"))
    assert message == {"type": "error", "code": "frame_too_large", "message": "max 262144 bytes"}


def test_ready_message_when_formatted_then_it_has_the_contract_s_fields() -> None:
    room = RoomKey(AppName("live"), RoomName("live-cam1"))
    message = json.loads(ready_message(CameraGrant(room, "wsi_1", "wscam-aBho5S", CameraLimits())))
    assert message == {
        "type": "ready",
        "room": "live-cam1",
        "streamId": "live-cam1/wscam-aBho5S",
        "maxFps": 15,
        "maxFrameBytes": 262144,
        "idleTimeoutSec": 30,
    }
    assert type(message["idleTimeoutSec"]) is int


def test_parse_stats_when_it_is_stats_then_the_rest_is_returned() -> None:
    assert parse_stats(b'{"type":"stats","fps":14.8,"rssi":-61,"note":"\xc3\xbc"}') == {
        "fps": 14.8,
        "rssi": -61,
        "note": "ü",
    }


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"hello",
        b"null",
        b"7",
        b'"stats"',
        b"[]",
        b"{}",
        b'{"type":"hello"}',
        b'{"type":["stats"]}',
        b'{"type":"stats"',
        b'{"type":"stats","x":"\xff"}',
        b'{"type":"stats"}\x00',
        b'{"type":"stats","x":' + b"[" * 3000 + b"]" * 900 + b"}",
        b'{"type":"stats","n":' + b"9" * 5000 + b"}",
    ],
)
def test_parse_stats_when_it_is_anything_else_then_none(text: bytes) -> None:
    assert parse_stats(text) is None


def test_parse_stats_when_the_message_is_as_long_as_allowed_then_one_byte_more_is_too_long() -> None:
    text = b'{"type":"stats","x":""}'
    text = text.replace(b'""', b'"' + b"x" * (MAX_STATS_BYTES - len(text)) + b'"')
    assert len(text) == MAX_STATS_BYTES
    assert parse_stats(text) is not None
    assert parse_stats(text.replace(b"xx", b"xxx", 1)) is None


def test_parse_stats_when_numbers_are_not_finite_then_they_become_null() -> None:
    stats = parse_stats(b'{"type":"stats","a":NaN,"b":[Infinity,-Infinity],"c":1e999,"d":-1e999,"e":1e300,"f":0.5}')
    assert stats == {"a": None, "b": [None, None], "c": None, "d": None, "e": 1e300, "f": 0.5}
