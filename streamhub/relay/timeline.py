"""The worker's one timeline: what sources say about time, repaired.

Out of it comes, for every stream, a DTS that only grows and a PTS that is not before it, in microseconds from
``START``; the streams stay in step. What it mends: timestamps that wrap or jump (a camera's clock was set, an encoder
began anew), that are missing, that do not grow.
"""

from __future__ import annotations

from typing import Final

import attrs

START: Final = 1_000_000  # room for streams that begin a little before the first one
_BACK = 500_000  # a stream that goes back further than this has jumped
_AHEAD = 10_000_000  # one that leaves a longer hole has, too: no hole is shown that long
_STEP = 1_000  # between two units whose times do not grow
_SMOOTH = 60_000  # sound this near to where it is due is put there: FLV and RTSP round to milliseconds


@attrs.define
class _Stream:
    duration: float  # usual, of one unit
    last_dts: int | None = None
    due: float | None = None  # where the last unit ends; exact, since 1024 samples are no whole microseconds
    shift: int = 0


@attrs.define
class Timeline:
    """``place`` in the order in which units come."""

    _streams: dict[str, _Stream] = attrs.field(factory=dict)
    _shift: int | None = None
    jumps: int = 0

    def place(
        self, stream: str, pts: int | None, dts: int | None, duration: float = 0, *, sound: bool = False
    ) -> tuple[int, int]:
        """PTS and DTS of the unit on the timeline. ``sound``: units follow each other without a gap."""
        one = self._streams.setdefault(stream, _Stream(duration or 33_333))
        if duration > 0:
            one.duration = duration
        due = one.due
        if dts is None and pts is None:
            at = due if due is not None else float(START)
            return self._settle(one, at, at)
        raw = dts if dts is not None else self._decoding_time(one, pts or 0)
        shift = self._shift_for(one, raw)
        one.shift = shift
        decode: float = raw + shift
        show: float = pts + shift if pts is not None else decode
        if sound and due is not None and abs(decode - due) < _SMOOTH:
            show += due - decode
            decode = due
        return self._settle(one, show, decode)

    def _decoding_time(self, one: _Stream, pts: int) -> int:
        """A missing DTS: one usual step after the last, and never after the PTS."""
        if one.due is None:
            return pts
        expected = round(one.due) - one.shift
        # Far from what is due it is a jump, and the picture's own time the better guess.
        return min(pts, expected) if abs(pts - expected) < _BACK else pts

    def _shift_for(self, one: _Stream, raw: int) -> int:
        if self._shift is None:
            self._shift = START - raw
            return self._shift
        if one.due is None:
            near = max((s.due for s in self._streams.values() if s.due is not None), default=float(START))
            if -_AHEAD < raw + self._shift - near < _AHEAD:
                return self._shift
        else:
            # The newest shift first; a stream that has not jumped yet keeps the one it has.
            for shift in (self._shift, one.shift):
                if -_BACK <= raw + shift - one.due <= _AHEAD:
                    return shift
        self.jumps += 1
        # Goes on where the furthest stream is, so that what follows on the others is not before it.
        furthest = max((s.due for s in self._streams.values() if s.due is not None), default=float(START))
        self._shift = round(furthest) - raw
        return self._shift

    def _settle(self, one: _Stream, show: float, decode: float) -> tuple[int, int]:
        if one.last_dts is None:
            decode = max(decode, 0.0)
        elif round(decode) <= one.last_dts:
            decode = one.last_dts + _STEP
        one.due = decode + one.duration
        one.last_dts = round(decode)
        return max(round(show), one.last_dts), one.last_dts


@attrs.define
class WallClock:
    """Wall clock of a point of the timeline: set by the first unit, then following slowly.

    Clocks of cameras run some seconds a day fast or slow; a jittery network is no reason to move.
    """

    _offset_ms: float | None = None

    def at_ms(self, pts: int, now_ms: float) -> int:
        """The time to tell for a unit that came in at ``now_ms``."""
        seen = now_ms - pts / 1000
        if self._offset_ms is None or abs(seen - self._offset_ms) > 10_000:
            self._offset_ms = seen
        else:
            # At most a fifth of a percent of a 25 fps stream's time.
            self._offset_ms += max(-0.1, min(0.1, seen - self._offset_ms))
        return round(pts / 1000 + self._offset_ms)
