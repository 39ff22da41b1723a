"""What a decoder that comes late must be told of an FLV stream first: its header, metadata and codec configurations.

FLV and its tags: Adobe's "Video File Format Specification", version 10.1, annex E; enhanced tags: Veovera's E-RTMP v1.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

_HEADER_BYTES = 9 + 4
_TAG_BYTES = 11
AUDIO, VIDEO, SCRIPT = 8, 9, 18


@attrs.define
class Head:
    """Remembers it. What is noted are whole tags, or the header."""

    _header: bytes = b""
    _tags: dict[int, bytes] = attrs.field(factory=dict)

    def note(self, data: bytes) -> None:
        """Some of the stream passes by; it begins and ends between two tags."""
        at = 0
        if data[:3] == b"FLV":
            self._header, at = bytes(data[:_HEADER_BYTES]), _HEADER_BYTES
            self._tags.clear()
        for kind, start, end in _tags(data, at):
            if _configures(kind, data[start + _TAG_BYTES : start + _TAG_BYTES + 2]):
                tag = bytearray(data[start:end])
                tag[4:8] = bytes(4)  # its time is long past
                self._tags[kind] = bytes(tag)

    def bytes(self) -> bytes:
        """The beginning of a stream that goes on with what is noted next; b"" before there was a header."""
        return self._header + b"".join(self._tags[k] for k in (SCRIPT, VIDEO, AUDIO) if k in self._tags)


def _tags(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of each tag, its back pointer included."""
    while at + _TAG_BYTES <= len(data):
        end = at + _TAG_BYTES + int.from_bytes(data[at + 1 : at + 4], "big") + 4
        yield data[at] & 0x1F, at, end
        at = end


def _configures(kind: int, first: bytes) -> bool:
    if kind == SCRIPT:
        return True
    if len(first) < 2:
        return False
    if kind == VIDEO:
        # Enhanced: packet type 0 in the low half of the first byte; else AVC's packet type 0.
        return first[0] & 0x0F == 0 if first[0] & 0x80 else first[0] & 0x0F == 7 and first[1] == 0
    return kind == AUDIO and first[0] >> 4 == 10 and first[1] == 0
