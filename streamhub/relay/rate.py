"""The cap on an encoder's bit rate: which quantiser, and which pictures are left out.

x264's own (VBV) costs as much again as a fifth of the encoding, since it searches a small copy of each picture for
motion first. Ours looks at what came out: a leaky bucket that empties at the rate, a second deep as VBV's was.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

BEST: Final = 20  # what x264 takes for "crf 23" in an ordinary picture
WORST: Final = 51
_BEGIN: Final = 26
_STEPS: Final = 4  # halve the bits; at high rates six would be needed, but then it would go to and fro
_MOST_DOWN: Final = 4  # at a time: what costs less for a second may be back in the next
_SECOND: Final = 1_000_000  # µs, as all times here


@attrs.define(eq=False)
class RateControl:
    """``bitrate`` in bit/s; ``step``: what a picture lasts. Told of every picture in order."""

    bitrate: int
    step: int
    quantiser: int = _BEGIN
    skipped: int = 0
    _level: float = 0.0  # bits that are sent and that a line of this rate has not carried yet
    _at: int | None = None
    _key_at: int | None = None
    _key: int = 0  # bits of the last key frame
    _others: int = 0  # and of those since
    _count: int = 0

    def admit(self, pts: int) -> bool:
        """Whether this picture may be encoded: not while a second's worth waits."""
        if self._at is not None:
            self._level = max(0.0, self._level - self.bitrate * max(0, pts - self._at) / _SECOND)
        self._at = pts
        if self._level < self.bitrate:
            return True
        self.skipped += 1
        return False

    @property
    def runs_over(self) -> bool:
        """Whether the bucket would be full before the next key frame: it has to come at once, coarser."""
        return self._count > 0 and self._level > self.bitrate / 2 and self._expected > self._target * 2

    def key_due(self, pts: int) -> None:
        """Choose the quantiser of the pictures from a key frame on."""
        if self._key_at is None:
            return
        needs = self._expected if self._count and self.runs_over else self._measured(pts)
        if not needs:
            return
        by = _STEPS * math.log2(needs / self._target)
        self.quantiser = min(WORST, max(BEST, self.quantiser + max(-_MOST_DOWN, round(by))))

    def count(self, pts: int, size: int, *, key: bool) -> None:
        """One has come out of the encoder; ``size`` in bytes."""
        bits = size * 8
        self._level += bits
        if key:
            self._key_at, self._key, self._others, self._count = pts, bits, 0, 0
        else:
            self._others += bits
            self._count += 1

    @property
    def _target(self) -> float:
        """Bits a second, less while more waits than a key frame brings."""
        return self.bitrate - max(0.0, self._level - self.bitrate / 4) / 2

    @property
    def _expected(self) -> float:
        """Bits a second, if it goes on as since the key frame."""
        return self._key + self._others / self._count * (_SECOND / self.step)

    def _measured(self, pts: int) -> float:
        assert self._key_at is not None
        return (self._key + self._others) * _SECOND / max(pts - self._key_at, self.step)
