"""Real JPEGs of many kinds: what firmware, phones and libraries write differently."""

from __future__ import annotations

import io

from PIL import Image


def picture(size: tuple[int, int] = (48, 36), mode: str = "RGB", **options: object) -> bytes:
    """A JPEG of a gradient, so that the scan is not trivial; ``options`` are Pillow's for saving."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(out, "JPEG", **options)
    return out.getvalue()


def segment(marker: int, payload: bytes) -> bytes:
    """One marker segment (ITU-T T.81 B.1.1.4)."""
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The same picture with segments put right after its start marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif_with_thumbnail(thumbnail: bytes) -> bytes:
    """An APP1 payload whose second directory points at a whole JPEG: a picture inside the picture."""
    exif = Image.Exif()
    exif[0x010F] = "StreamHub"
    head = exif.tobytes()
    return head + thumbnail


def kinds() -> dict[str, tuple[bytes, tuple[int, int]]]:
    """Name → (JPEG, its size)."""
    plain = picture((64, 48))
    return {
        "baseline": (plain, (64, 48)),
        "one pixel": (picture((1, 1)), (1, 1)),
        "wide": (picture((1600, 8)), (1600, 8)),
        "progressive": (picture((64, 48), progressive=True), (64, 48)),
        "optimised tables": (picture((64, 48), optimize=True), (64, 48)),
        "grey": (picture((40, 30), "L"), (40, 30)),
        "four inks": (picture((40, 30), "CMYK"), (40, 30)),
        "4:4:4": (picture((40, 30), subsampling=0), (40, 30)),
        "restart markers": (picture((320, 240), restart_marker_blocks=2), (320, 240)),
        "comment": (picture((64, 48), comment=b"\xff\xc0 not a frame header"), (64, 48)),
        "exif with a thumbnail": (
            with_segments(plain, segment(0xE1, exif_with_thumbnail(picture((16, 12))))),
            (64, 48),
        ),
        "colour profile in pieces": (
            with_segments(plain, *(segment(0xE2, b"ICC_PROFILE\0" + bytes((n, 3)) + b"x" * 9000) for n in (1, 2, 3))),
            (64, 48),
        ),
        "fill bytes before markers": (plain[:2] + b"\xff\xff\xff" + plain[2:], (64, 48)),
        "bytes after the end": (plain + b"\0" * 100, (64, 48)),
        "end marker missing": (plain[:-2], (64, 48)),
    }
