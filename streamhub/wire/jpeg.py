"""What we look at in a JPEG: its first bytes on every frame, its size now and then.

Frames are passed on as they came; nothing here decodes. Marker layout: ITU-T T.81 annex B.
"""

from __future__ import annotations

SOI = b"\xff\xd8"
_SIZE_MARKERS = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_ALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
_END_MARKERS = frozenset({0xD9, 0xDA})


def is_jpeg(data: bytes | bytearray | memoryview) -> bool:
    """Whether this may be a JPEG: four bytes or more and the start-of-image marker (contract §4, rule 2)."""
    return len(data) >= 4 and data[0] == 0xFF and data[1] == 0xD8


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from the frame header; None where there is none before the scan."""
    at, end = 2, len(data)
    while at + 4 <= end:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _ALONE_MARKERS:
            at += 2
            continue
        if marker in _END_MARKERS:
            return None
        if marker in _SIZE_MARKERS:
            if at + 9 > end:
                return None
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            return (width, height) if width and height else None
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < 2:
            return None
        at += 2 + length
    return None
