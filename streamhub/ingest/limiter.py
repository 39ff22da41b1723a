"""Counting events per key in fixed windows: failed handshakes per address, good ones per camera key."""

from __future__ import annotations

import attrs

_SWEEP_ABOVE = 10_000


@attrs.define
class WindowLimiter:
    """At most ``limit`` counted events per key in ``window_s`` seconds, from the first one on. Time is given."""

    limit: int
    window_s: float = 60.0
    _windows: dict[str, tuple[float, int]] = attrs.field(factory=dict)

    def exceeded(self, key: str, now: float) -> bool:
        """Whether the key has used up its window."""
        started, count = self._windows.get(key, (now, 0))
        return now - started < self.window_s and count >= self.limit

    def count(self, key: str, now: float) -> None:
        """Count one event."""
        started, count = self._windows.get(key, (now, 0))
        if now - started >= self.window_s:
            started, count = now, 0
        self._windows[key] = (started, count + 1)
        if len(self._windows) > _SWEEP_ABOVE:
            self._windows = {k: w for k, w in self._windows.items() if now - w[0] < self.window_s}
