"""When to send: a schedule without drift, and the rate over the last seconds. Times: seconds, monotonic."""

from __future__ import annotations

import math
from collections import deque

import attrs


@attrs.define
class Schedule:
    """Slots at ``start + n * interval``: rounding never adds up, a late caller loses slots and gets no burst."""

    start: float
    interval: float
    _last: int = -1

    def next_slot(self, now: float) -> tuple[float, int]:
        """When the next frame is due (in the past by less than a slot), and how many slots were missed before it."""
        slot = max(self._last + 1, math.floor((now - self.start) / self.interval))
        missed = slot - self._last - 1
        self._last = slot
        return self.start + slot * self.interval, missed


@attrs.define
class RateMeter:
    """Frames and bytes a second over the last ``window_s`` seconds."""

    window_s: float = 5.0
    _since: float | None = None
    _marks: deque[tuple[float, int]] = attrs.field(factory=deque)

    def add(self, now: float, size: int) -> None:
        """Count one frame of ``size`` bytes."""
        if self._since is None:
            self._since = now
        self._marks.append((now, size))
        self._forget(now)

    def rates(self, now: float) -> tuple[float, float]:
        """Frames and bytes per second; zero until the first frame."""
        self._forget(now)
        if self._since is None or not self._marks:
            return 0.0, 0.0
        # Right after the start the window is not full yet; half a second is the least that gives a sane figure.
        span = min(self.window_s, max(now - self._since, 0.5))
        return len(self._marks) / span, sum(size for _, size in self._marks) / span

    def reset(self) -> None:
        """Forget everything: the connection ended."""
        self._marks.clear()
        self._since = None

    def _forget(self, now: float) -> None:
        while self._marks and self._marks[0][0] <= now - self.window_s:
            self._marks.popleft()
