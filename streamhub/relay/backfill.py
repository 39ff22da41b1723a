"""Times of the first pictures of a stream that is entered in its middle.

libav needs some pictures of an RTSP stream before it can say decoding times, and the very first has no time at all
although it is the key frame. They are held for that long, then get theirs from the first one that is whole.
"""

from __future__ import annotations

from typing import Final

import attrs

_MOST: Final = 20


@attrs.frozen
class Raw:
    """A picture as the source gives it, times in microseconds."""

    data: bytes = attrs.field(repr=False)
    key: bool
    pts: int | None
    dts: int | None
    duration: float


@attrs.define
class Backfill:
    """``depth``: how many pictures the decoding time is ahead of the showing; 0 without B-frames."""

    depth: int
    _held: list[Raw] = attrs.field(factory=list)
    _through: bool = False

    def add(self, raw: Raw) -> list[Raw]:
        """What can be passed on now, in order."""
        if self._through:
            return [raw]
        whole = raw.dts is not None or (raw.pts is not None and self.depth == 0)
        self._held.append(raw)
        if not whole and len(self._held) < _MOST:
            return []
        self._through = True
        held, self._held = self._held, []
        return self._filled(held, raw.dts if raw.dts is not None else raw.pts) if whole else held

    def _filled(self, held: list[Raw], last: int | None) -> list[Raw]:
        assert last is not None
        filled = []
        at = float(last)
        for raw in reversed(held):
            dts = raw.dts if raw.dts is not None else round(at)
            pts = raw.pts if raw.pts is not None else round(at + self.depth * raw.duration)
            filled.append(attrs.evolve(raw, pts=max(pts, dts), dts=dts))
            at -= raw.duration
        return filled[::-1]
