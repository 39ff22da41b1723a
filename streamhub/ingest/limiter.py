"""Counting events per key in fixed windows: failed handshakes per address, good ones per camera key."""

from __future__ import annotations

import attrs

# Whoever has more addresses than this gets round the limits anyway; the memory stays ours.
MOST_KEYS = 50_000


@attrs.define
class WindowLimiter:
    """At most ``limit`` counted events per key in ``window_s`` seconds, from the first one on. Time is given.

    Windows stand in the order of their starts, so those that are over are dropped from the front: a flood of
    addresses costs each event the same little.
    """

    limit: int
    window_s: float = 60.0
    _windows: dict[str, tuple[float, int]] = attrs.field(factory=dict)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._windows)

    def exceeded(self, key: str, now: float) -> bool:
        """Whether the key has used up its window."""
        started, count = self._windows.get(key, (now, 0))
        return now - started < self.window_s and count >= self.limit

    def count(self, key: str, now: float) -> None:
        """Count one event."""
        self._forget(now)
        started, count = self._windows.get(key, (now, 0))
        self._windows[key] = (started, count + 1)
        if len(self._windows) > MOST_KEYS:
            del self._windows[next(iter(self._windows))]

    def _forget(self, now: float) -> None:
        while self._windows:
            oldest = next(iter(self._windows))
            if now - self._windows[oldest][0] < self.window_s:
                return
            del self._windows[oldest]
