from __future__ import annotations

import pytest

from streamhub.wire.rtmp.amf0 import MOST_DEPTH, MOST_VALUES, decode, encode, string
from streamhub.wire.rtmp.errors import RtmpError

NUMBER = b"\0" + bytes.fromhex("3ff8000000000000")


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (NUMBER, 1.5),
        (b"\1\1", True),
        (b"\2\0\3abc", "abc"),
        (b"\2\0\1\xff", "�"),
        (b"\3\0\1a\1\0\0\0\x09", {"a": False}),
        (b"\5", None),
        (b"\6", None),
        (b"\7\0\1", None),
        (b"\x08\0\0\0\7\0\1a\5\0\0\x09", {"a": None}),
        (b"\x0a\0\0\0\2\1\1\5", [True, None]),
        (b"\x0b" + NUMBER[1:] + b"\0\0", 1.5),
        (b"\x0c\0\0\0\3abc", "abc"),
        (b"\x0d", None),
        (b"\x0f\0\0\0\4<a/>", "<a/>"),
        (b"\x10\0\3Cls\0\1a\5\0\0\x09", {"a": None}),
    ],
)
def test_value_when_read_then_it_is(data: bytes, value: object) -> None:
    assert decode(data + b"\1\0") == [value, False]
    for end in range(1, len(data)):
        with pytest.raises(RtmpError, match="cut"):
            decode(data[:end])


@pytest.mark.parametrize("kind", [0x04, 0x09, 0x0E, 0x11, 0xFF])
def test_value_when_of_another_type_then_it_is_refused(kind: int) -> None:
    with pytest.raises(RtmpError, match=f"{kind:#04x}"):
        decode(bytes([kind]))


def test_values_when_written_then_they_are_read_again() -> None:
    values = ["connect", 1.0, {"app": "live", "list": [1.0, None], "in": {"yes": True, "no": False}}, None, "ü", -2.5]
    assert decode(encode(*values)) == values
    assert decode(encode(3)) == [3.0]


def test_nesting_when_too_deep_or_too_many_then_it_is_refused() -> None:
    assert decode(b"\x0a\0\0\0\1" * MOST_DEPTH + b"\5")
    with pytest.raises(RtmpError, match="too deep"):
        decode(b"\x0a\0\0\0\1" * (MOST_DEPTH + 1) + b"\5")
    assert len(decode(b"\5" * MOST_VALUES)) == MOST_VALUES
    with pytest.raises(RtmpError, match="too many"):
        decode(b"\x0a\xff\xff\xff\xff" + b"\5" * MOST_VALUES)


def test_string_when_asked_for_then_only_a_whole_one_is_found() -> None:
    assert string(b"\2\0\3abcrest") == ("abc", b"rest")
    assert string(b"\2\0\4abc") is None
    assert string(b"\2\0") is None
    assert string(NUMBER) is None
