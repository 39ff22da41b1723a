"""Is the picture live? One small state machine per room; API, pages, placeholder and metrics all show its state.

Durations are seconds of a monotonic clock given by the caller; ``since`` is wall-clock time for people.
"""

from __future__ import annotations

from datetime import datetime

import attrs

from streamhub.model.streams import State

STALE_LEAST_S = 3.0
STALE_INTERVALS = 3.0
_WINDOW_S = 5


@attrs.define
class Meter:
    """Frames and bytes over the last five whole seconds, without a list and without a timer."""

    frames: int = 0
    bytes: int = 0
    _second: int = 0
    _counts: list[int] = attrs.field(factory=lambda: [0] * (_WINDOW_S + 1))
    _sizes: list[int] = attrs.field(factory=lambda: [0] * (_WINDOW_S + 1))
    _started: float | None = None

    def add(self, now: float, size: int) -> None:
        """Count one frame of ``size`` bytes."""
        second = int(now)
        if second != self._second:
            self._advance(second)
        if self._started is None:
            self._started = now
        self.frames += 1
        self.bytes += size
        slot = second % (_WINDOW_S + 1)
        self._counts[slot] += 1
        self._sizes[slot] += size

    def rates(self, now: float) -> tuple[float, int]:
        """Frames per second and bits per second, averaged over the window (shorter just after the start)."""
        self._advance(int(now))
        if self._started is None:
            return 0.0, 0
        # The current second is not over: it counts with the part that has passed.
        span = min(now - self._started, _WINDOW_S + (now - int(now)))
        if span < 0.5:
            return float(sum(self._counts)), sum(self._sizes) * 8
        return sum(self._counts) / span, int(sum(self._sizes) * 8 / span)

    def _advance(self, second: int) -> None:
        gap = second - self._second
        if gap <= 0:
            return
        for step in range(1, min(gap, _WINDOW_S + 1) + 1):
            slot = (self._second + step if gap <= _WINDOW_S else step) % (_WINDOW_S + 1)
            self._counts[slot] = self._sizes[slot] = 0
        self._second = second


@attrs.define
class Liveness:
    """State of one room's source, and since when.

    offline → connecting (a source is accepted) → live (a frame) ⇄ stale (no frame for ``max(3 s, 3 × the usual
    interval)``) → offline (the source left). Each method returns whether the state changed.
    """

    state: State = State.OFFLINE
    since: datetime | None = None
    last_frame_at: datetime | None = None
    _last_frame: float | None = None
    _interval: float = 0.0

    def connected(self, wall: datetime) -> bool:
        """A source was accepted. One that takes over a live room leaves it live."""
        if self.state.active:
            return False
        self._last_frame, self._interval = None, 0.0
        return self._become(State.CONNECTING, wall)

    def frame(self, now: float, wall: datetime) -> bool:
        """An accepted frame arrived."""
        if self._last_frame is not None:
            gap = now - self._last_frame
            if self._interval == 0.0:
                self._interval = gap
            else:
                # An outage is not the source's rhythm: one long gap counts only a little.
                self._interval = self._interval * 0.9 + min(gap, max(1.0, 4.0 * self._interval)) * 0.1
        self._last_frame = now
        self.last_frame_at = wall
        return self._become(State.LIVE, wall)

    def tick(self, now: float, wall: datetime) -> bool:
        """Time passed: a live source whose next frame is overdue becomes stale."""
        if self.state is State.LIVE and now >= self.stale_at():
            return self._become(State.STALE, wall)
        return False

    def disconnected(self, wall: datetime) -> bool:
        """The source left."""
        return self._become(State.OFFLINE, wall)

    def stale_at(self) -> float:
        """When a live source becomes stale if no frame comes until then."""
        return (self._last_frame or 0.0) + max(STALE_LEAST_S, STALE_INTERVALS * self._interval)

    def _become(self, state: State, wall: datetime) -> bool:
        if state is self.state:
            return False
        self.state, self.since = state, wall
        return True
