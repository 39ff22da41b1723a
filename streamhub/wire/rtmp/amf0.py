"""AMF0 (Action Message Format 0, 2007): the values of commands and metadata.

Numbers are floats, objects and ECMA arrays dicts, strict arrays lists; undefined, references and unsupported values
are None; a date is its number of milliseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from streamhub.wire.rtmp.errors import RtmpError

Value: TypeAlias = "float | bool | str | Mapping[str, Value] | Sequence[Value] | None"

MOST_DEPTH = 8
MOST_VALUES = 1024  # in one message
_NUMBER = struct.Struct(">d")
_END = b"\x00\x00\x09"
_STRING = 0x02


def decode(data: bytes) -> list[Value]:
    """The values one after another. Raises RtmpError for what is cut, nested too deep or too many, or AMF3."""
    reader = _Reader(data)
    values: list[Value] = []
    try:
        while reader.at < len(data):
            values.append(reader.value(0))
    except (struct.error, IndexError):
        raise RtmpError("an AMF0 message is cut") from None
    return values


def string(data: bytes) -> tuple[str, bytes] | None:
    """The string at the beginning and what follows it; None if something else is there."""
    if len(data) < 3 or data[0] != _STRING:
        return None
    end = 3 + int.from_bytes(data[1:3], "big")
    return (data[3:end].decode("utf-8", "replace"), data[end:]) if end <= len(data) else None


def encode(*values: Value) -> bytes:
    """The same as bytes. Strings of at most 65 535 bytes."""
    out = bytearray()
    for value in values:
        if value is None:
            out.append(0x05)
        elif isinstance(value, bool):
            out += bytes((0x01, value))
        elif isinstance(value, int | float):
            out += b"\x00" + _NUMBER.pack(value)
        elif isinstance(value, str):
            out += b"\x02" + _text(value)
        elif isinstance(value, Mapping):
            out.append(0x03)
            for name, item in value.items():
                out += _text(name) + encode(item)
            out += _END
        else:
            out += b"\x0a" + len(value).to_bytes(4, "big") + encode(*value)
    return bytes(out)


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


@attrs.define
class _Reader:
    """A place in the bytes. Raises IndexError or struct.error where they end too soon."""

    data: bytes
    at: int = 0
    _values: int = 0

    def value(self, depth: int) -> Value:
        self._values += 1
        if depth > MOST_DEPTH or self._values > MOST_VALUES:
            raise RtmpError("an AMF0 message is nested too deep, or has too many values")
        kind = self._take(1)[0]
        match kind:
            case 0x00:
                return float(_NUMBER.unpack(self._take(8))[0])
            case 0x01:
                return self._take(1)[0] != 0
            case 0x02:
                return self._string(2)
            case 0x0C | 0x0F:  # long string, XML
                return self._string(4)
            case 0x03:
                return self._members(depth)
            case 0x08:
                self._take(4)  # a count that nobody keeps to
                return self._members(depth)
            case 0x10:  # an object of a class
                self._string(2)
                return self._members(depth)
            case 0x0A:
                return [self.value(depth + 1) for _ in range(self._number(4))]
            case 0x0B:
                moment = float(_NUMBER.unpack(self._take(8))[0])
                self._take(2)  # a time zone that means nothing
                return moment
            case 0x05 | 0x06 | 0x0D:  # null, undefined, unsupported
                return None
            case 0x07:
                self._take(2)
                return None
        raise RtmpError(f"AMF0 type {kind:#04x} is not known here")

    def _members(self, depth: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        while self.data[self.at : self.at + 3] != _END:
            name = self._string(2)
            members[name] = self.value(depth + 1)
        self.at += len(_END)
        return members

    def _string(self, width: int) -> str:
        return self._take(self._number(width)).decode("utf-8", "replace")

    def _number(self, width: int) -> int:
        return int.from_bytes(self._take(width), "big")

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise IndexError
        piece, self.at = self.data[self.at : end], end
        return piece
