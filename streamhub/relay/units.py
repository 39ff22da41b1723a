"""One coded picture or piece of sound, as it passes through the worker.

Times are microseconds of the worker's own timeline (``timeline.py``). H.264 and H.265 are in Annex B form with their
parameter sets in front of every key frame, whatever the source said, so that each sink can start at any key frame.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import BinaryIO, Final, Literal

import attrs

MICRO: Final = Fraction(1, 1_000_000)
_HEAD = struct.Struct(">BBqqqQdI")
_VIDEO, _KEY = 1, 2


@attrs.frozen
class Unit:
    """``at_ms``: wall clock, ms since 1970; ``taken``: ``time.monotonic()`` when it came; ``codec``: libav's word."""

    kind: Literal["video", "audio"]
    codec: str
    data: bytes = attrs.field(repr=False)
    pts: int
    dts: int
    duration: int
    key: bool
    at_ms: int
    taken: float


def pack_unit(unit: Unit) -> bytes:
    """For the pipe to a publisher process."""
    codec = unit.codec.encode()
    flags = (_VIDEO if unit.kind == "video" else 0) | (_KEY if unit.key else 0)
    head = _HEAD.pack(flags, len(codec), unit.pts, unit.dts, unit.duration, unit.at_ms, unit.taken, len(unit.data))
    return b"".join((head, codec, unit.data))


def read_unit(file: BinaryIO) -> Unit | None:
    """The next unit of a buffered file; None at its end, also in the middle of one."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    flags, codec_size, pts, dts, duration, at_ms, taken, size = _HEAD.unpack(head)
    rest = file.read(codec_size + size)
    if len(rest) < codec_size + size:
        return None
    return Unit(
        "video" if flags & _VIDEO else "audio",
        rest[:codec_size].decode(),
        rest[codec_size:],
        pts,
        dts,
        duration,
        bool(flags & _KEY),
        at_ms,
        taken,
    )
