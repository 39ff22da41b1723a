"""Pictures of a room that come from elsewhere than a camera: a relay decodes them while somebody wants to see them."""

from __future__ import annotations

from datetime import datetime

import attrs

# Until the first picture after it was asked for, nobody is told that there is none.
PATIENCE_S = 5.0
STALE_S = 3.0


@attrs.define(eq=False)
class Feed:
    """One source of pictures. ``interval_s``: how far apart they may be (key frames only); times are Trio's."""

    participant: str
    started_at: datetime
    interval_s: float = 0.0
    last_frame_at: datetime | None = None
    _fresh_until: float = float("-inf")

    def accepted(self, now: float, wall: datetime) -> None:
        """A picture is about to be shown."""
        self.last_frame_at = wall
        self._fresh_until = now + max(STALE_S, 3 * self.interval_s)

    def await_first(self, now: float) -> None:
        """Pictures have been asked for."""
        self._fresh_until = max(self._fresh_until, now + PATIENCE_S + self.interval_s)

    def fresh_until(self) -> float:
        """Until when what there is, or is about to come, may stand for the source."""
        return self._fresh_until
