"""Counting events per key in fixed windows: failed handshakes per address, good ones per camera or stream key."""

from __future__ import annotations

import attrs

from streamhub.errors import TooMany

FAILURES_A_MINUTE = 60  # of one address
STARTS_A_MINUTE = 30  # of one stream key

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


@attrs.define
class StreamKeyLimits:
    """Limits of a door that is opened by stream keys; ``code`` is the one of its TooMany."""

    code: str
    _failures: WindowLimiter = attrs.field(factory=lambda: WindowLimiter(FAILURES_A_MINUTE))
    _starts: WindowLimiter = attrs.field(factory=lambda: WindowLimiter(STARTS_A_MINUTE))

    def failed(self, address: str, now: float) -> None:
        """Count a wrong key. Raises TooMany for an address that has shown too many.

        Asked for wrong keys alone: behind one address there may be many encoders with good ones.
        """
        if self._failures.exceeded(address, now):
            raise self._too_often("too many attempts with a wrong stream key")
        self._failures.count(address, now)

    def started(self, ingress_id: str, now: float) -> None:
        """Count a good key. Raises TooMany if it has been used too often."""
        if self._starts.exceeded(ingress_id, now):
            raise self._too_often("this stream key has been used too often")
        self._starts.count(ingress_id, now)

    def _too_often(self, message: str) -> TooMany:
        return TooMany(message, code=self.code, hint="Wait a minute.", retry_after_s=60)
