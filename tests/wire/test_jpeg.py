from __future__ import annotations

import io

import pytest
from PIL import Image

from streamhub.wire.jpeg import is_jpeg, jpeg_size
from tests.support.pictures import kinds, picture, segment

KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_size_when_the_picture_is_real_then_it_agrees_with_pillow(kind: str) -> None:
    data, size = KINDS[kind]
    assert Image.open(io.BytesIO(data)).size == size
    assert jpeg_size(data) == size


def test_jpeg_size_when_the_thumbnail_comes_first_then_it_is_not_taken_for_the_picture() -> None:
    data, size = KINDS["exif with a thumbnail"]
    assert data.index(b"\xff\xd8", 2) < data.index(b"\xff\xdb")
    assert jpeg_size(data) == size


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF])
def test_jpeg_size_when_any_frame_header_comes_then_it_is_read(marker: int) -> None:
    header = segment(marker, bytes((8, 0, 240, 1, 64, 1, 1, 0x11, 0)))
    assert jpeg_size(b"\xff\xd8" + header + b"\xff\xda") == (320, 240)


@pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
def test_jpeg_size_when_the_marker_is_a_table_in_their_midst_then_it_is_passed(marker: int) -> None:
    table = segment(marker, bytes((8, 0, 1, 0, 1, 0, 0)))
    header = segment(0xC0, bytes((8, 0, 240, 1, 64, 1, 1, 0x11, 0)))
    assert jpeg_size(b"\xff\xd8" + table + header) == (320, 240)


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("nothing", b""),
        ("the start only", b"\xff\xd8"),
        ("the start and a marker", b"\xff\xd8\xff\xe0"),
        ("no marker where one must be", b"\xff\xd8\x00\x00\x00\x00"),
        ("a scan before any frame header", b"\xff\xd8" + segment(0xDA, b"\0" * 10)),
        ("the end before any frame header", b"\xff\xd8\xff\xd9\0\0\0\0"),
        ("a length below its own size", b"\xff\xd8\xff\xe0\x00\x01\xff\xc0"),
        ("a segment beyond the end", b"\xff\xd8\xff\xe0\xff\xff\0\0"),
        ("a frame header cut off", b"\xff\xd8\xff\xc0\x00\x11\x08\x00"),
        ("height 0, told by a later marker", b"\xff\xd8" + segment(0xC0, bytes((8, 0, 0, 1, 64, 1)))),
        ("width 0", b"\xff\xd8" + segment(0xC0, bytes((8, 0, 240, 0, 0, 1)))),
        ("fill bytes to the end", b"\xff\xd8" + b"\xff" * 50),
    ],
)
def test_jpeg_size_when_there_is_none_before_the_scan_then_none(what: str, data: bytes) -> None:
    assert jpeg_size(data) is None, what


def test_jpeg_size_when_markers_without_length_precede_then_they_are_passed() -> None:
    plain = picture((64, 48))
    assert jpeg_size(plain[:2] + b"\xff\x01\xff\xd0\xff\xd7" + plain[2:]) == (64, 48)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", False),
        (b"\xff\xd8\xff", False),
        (b"\xff\xd8\x00\x00", True),  # the end marker and validity are not looked at (contract §4)
        (b"\xff\xd9\xff\xe0", False),
        (b"\xfe\xd8\xff\xe0", False),
        (b"\x89PNG", False),
    ],
)
def test_is_jpeg_when_given_first_bytes_then_rule_2_decides(data: bytes, expected: bool) -> None:
    assert is_jpeg(data) is expected
    assert is_jpeg(bytearray(data)) is expected
    assert is_jpeg(memoryview(data)) is expected
