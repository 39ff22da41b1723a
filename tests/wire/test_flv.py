from __future__ import annotations

import pytest

from streamhub.wire.flv import Preamble, Tag, TagKind, format_header, format_tag, is_configuration, is_key_frame
from streamhub.wire.rtmp import amf0
from tests.support.rtmp import AAC_CONFIG, AVC_CONFIG

A, V, S = TagKind.AUDIO, TagKind.VIDEO, TagKind.SCRIPT
KEY, DELTA = b"\x17\1\0\0\0x", b"\x27\1\0\0\0x"


def script(**values: amf0.Value) -> Tag:
    return Tag(S, 0, amf0.encode("onMetaData", values))


def test_tag_when_written_then_time_and_sizes_are_where_the_format_wants_them() -> None:
    data = format_tag(Tag(V, 0x12345678, b"abc"))
    assert data == b"\x09" + b"\0\0\3" + b"\x34\x56\x78" + b"\x12" + b"\0\0\0" + b"abc" + b"\0\0\0\x0e"


@pytest.mark.parametrize(
    ("first", "flags"),
    [
        (script(videocodecid=7.0, audiocodecid=10.0), 5),
        (script(videocodecid=7.0), 1),
        (script(audiocodecid=0.0), 4),
        (script(videocodecid="avc1", audiocodecid="mp4a"), 5),
        (script(width=640.0), 5),
        (Tag(S, 0, b"\xff"), 5),
        (Tag(S, 0, amf0.encode("onMetaData")), 5),
        (Tag(V, 0, AVC_CONFIG), 5),
    ],
)
def test_header_when_written_then_it_promises_what_comes(first: Tag, flags: int) -> None:
    assert format_header(first) == b"FLV\1" + bytes([flags]) + b"\0\0\0\x09" + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("kind", "body", "configuration", "key_frame"),
    [
        (V, AVC_CONFIG, True, False),
        (V, KEY, False, True),
        (V, DELTA, False, False),
        (V, b"\x90hvc1cfg", True, False),
        (V, b"\x91hvc1\0\0\0x", False, True),
        (V, b"\xa1hvc1\0\0\0x", False, False),
        (V, b"", False, False),
        (V, b"\x17", False, True),
        (A, AAC_CONFIG, True, False),
        (A, b"\xaf\1x", False, False),
        (A, b"\x90mp4a\x11\x90", True, False),
        (A, b"\x91mp4ax", False, False),
        (A, b"\x2f\0", False, False),
        (S, b"x", True, False),
    ],
)
def test_tag_when_looked_at_then_its_role_is_known(
    kind: TagKind, body: bytes, configuration: bool, key_frame: bool
) -> None:
    tag = Tag(kind, 0, body)
    assert (is_configuration(tag), is_key_frame(tag)) == (configuration, key_frame)


def test_preamble_when_asked_for_late_then_it_has_the_newest_of_each() -> None:
    preamble = Preamble()
    assert preamble.format() == b""
    metadata, config, newer = script(videocodecid=7.0), Tag(V, 0, AVC_CONFIG), Tag(V, 40, AVC_CONFIG + b"2")
    sound = Tag(A, 0, AAC_CONFIG)
    header = format_header(metadata)
    preamble.take(header)
    for tag in (metadata, sound, config, Tag(V, 0, KEY), newer, Tag(V, 80, DELTA)):
        preamble.take(format_tag(tag))
    assert preamble.format() == header + b"".join(map(format_tag, (metadata, newer, sound)))
    preamble.take(header)
    assert preamble.format() == header
