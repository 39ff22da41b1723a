"""FLV (Video File Format Specification 10.1, Annex E): what a relay worker is fed with.

Bodies of tags are the same bytes as bodies of RTMP's media messages.
"""

from __future__ import annotations

import enum

import attrs

from streamhub.wire.rtmp import amf0
from streamhub.wire.rtmp.errors import RtmpError

_SIGNATURE = b"FLV"
_AUDIO, _VIDEO = 4, 1
_AAC, _EX_AUDIO = 10, 9
_AVC = 7
_TAG_HEAD = 11


class TagKind(enum.IntEnum):
    AUDIO = 8
    VIDEO = 9
    SCRIPT = 18


@attrs.frozen
class Tag:
    """One piece of media or metadata. ``timestamp`` in ms, modulo 2**32."""

    kind: TagKind
    timestamp: int
    body: bytes = attrs.field(repr=False)


def format_tag(tag: Tag) -> bytes:
    """The tag, with the size that follows every tag."""
    size = len(tag.body)
    time = tag.timestamp.to_bytes(4, "big")
    head = bytes((tag.kind,)) + size.to_bytes(3, "big") + time[1:] + time[:1] + b"\0\0\0"
    return b"".join((head, tag.body, (size + 11).to_bytes(4, "big")))


def format_header(first: Tag) -> bytes:
    """The file's header. It promises what the first tag's metadata promises, else audio and video.

    A reader waits for what is promised: of a camera without a microphone it would wait for sound.
    """
    flags = 0
    if first.kind is TagKind.SCRIPT:
        metadata = _metadata(first.body)
        flags = (_VIDEO if metadata.get("videocodecid") else 0) | (
            _AUDIO if metadata.get("audiocodecid") is not None else 0
        )
    return _SIGNATURE + bytes((1, flags or _AUDIO | _VIDEO)) + (9).to_bytes(4, "big") + bytes(4)


def is_configuration(tag: Tag) -> bool:
    """Whether decoders need this tag before any other of its kind."""
    return _configures(tag.kind, tag.body[:2])


def _configures(kind: int, body: bytes) -> bool:
    """``body``: how it begins."""
    if kind == TagKind.SCRIPT or len(body) < 2:
        return kind == TagKind.SCRIPT
    first, second = body
    if kind == TagKind.AUDIO:
        return (first >> 4 == _AAC and second == 0) or (first >> 4 == _EX_AUDIO and first & 15 == 0)
    return first & 15 == 0 if first & 0x80 else first & 15 == _AVC and second == 0


def is_key_frame(tag: Tag) -> bool:
    """Whether decoding can begin with this tag, after the configuration."""
    return tag.kind is TagKind.VIDEO and tag.body[:1] != b"" and tag.body[0] >> 4 & 7 == 1 and not is_configuration(tag)


@attrs.define
class Preamble:
    """What must come first when a stream that has run for a while is read by somebody new."""

    _header: bytes = b""
    _kept: dict[int, bytes] = attrs.field(factory=dict)

    def take(self, data: bytes) -> None:
        """Look at a piece of the stream, each in its turn: the header, or a formatted tag."""
        if data[:3] == _SIGNATURE:
            self._header = data
            self._kept.clear()
        elif _configures(data[0], data[_TAG_HEAD : _TAG_HEAD + 2]):
            self._kept[data[0]] = data

    def format(self) -> bytes:
        """Header, metadata and configurations as they are now; nothing before the header."""
        order = (TagKind.SCRIPT, TagKind.VIDEO, TagKind.AUDIO)
        return self._header + b"".join(self._kept[kind] for kind in order if kind in self._kept)


def _metadata(body: bytes) -> dict[str, amf0.Value]:
    try:
        values = amf0.decode(body)
    except RtmpError:
        return {}
    return next((dict(value) for value in values if isinstance(value, dict)), {})
