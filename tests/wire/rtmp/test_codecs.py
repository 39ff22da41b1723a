from __future__ import annotations

import pytest

from streamhub.wire.rtmp.codecs import refused_audio, refused_video


def mod_ex(kind: int, size: int, then: int, rest: bytes) -> bytes:
    """An enhanced header with one extension in front of packet type ``then``."""
    length = bytes([size - 1]) if size < 256 else b"\xff" + (size - 1).to_bytes(2, "big")
    return bytes([kind | 7]) + length + bytes(size) + bytes([then]) + rest


@pytest.mark.parametrize(
    "body",
    [
        b"\x17\0",
        b"\x27\1",
        b"\x52",  # a command frame
        b"\xd0\0",  # the same, enhanced
        b"\x90hvc1",
        b"\xa1avc1",
        mod_ex(0x90, 3, 0, b"hvc1"),
        mod_ex(0x90, 300, 1, b"hvc1"),
    ],
)
def test_video_when_taken_then_nothing_is_said(body: bytes) -> None:
    assert refused_video(body) is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\x12", "Sorenson H.263"),
        (b"\x14", "VP6"),
        (b"\x1c\1", "H.265 in its unofficial form"),
        (b"\x10", "codec id 0"),
        (b"\x90av01", "AV1"),
        (b"\x91vp09", "VP9"),
        (b"\x90vvc1", "H.266"),
        (b"\x90\xffx y", r"FourCC '\xffx y'"),
        (b"\x90h", "FourCC 'h'"),
        (b"\x96\x11hvc1", "multitrack"),
        (mod_ex(0x90, 3, 6, b"hvc1"), "multitrack"),
        (mod_ex(0x90, 2, 0, b"av01"), "AV1"),
        (b"\x97", "an unfinished header"),
        (b"\x97\xff\xff\xffx", "an unfinished header"),
    ],
)
def test_video_when_not_taken_then_it_is_named(body: bytes, name: str) -> None:
    assert name in (refused_video(body) or "")


@pytest.mark.parametrize("body", [b"\x2f", b"\x7f", b"\x8f", b"\xaf\0", b"\xef", b"\x90mp4a", b"\x91.mp3"])
def test_audio_when_taken_then_nothing_is_said(body: bytes) -> None:
    assert refused_audio(body) is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\x6f", "Nellymoser"),
        (b"\xbf", "Speex"),
        (b"\x3f", "PCM"),
        (b"\xcf", "audio format 12"),
        (b"\x90Opus", "Opus"),
        (b"\x91fLaC", "FLAC"),
        (b"\x95\x01mp4a", "multitrack"),
    ],
)
def test_audio_when_not_taken_then_it_is_named(body: bytes, name: str) -> None:
    assert name in (refused_audio(body) or "")
