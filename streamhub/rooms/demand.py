"""Who wants to see a room's pictures: what costs a decoder runs only while somebody does."""

from __future__ import annotations

import attrs
import trio

# A poll of frame.jpg wants pictures for this long.
POLL_S = 30.0


@attrs.define(eq=False)
class Demand:
    """Viewers, counted, and polls, remembered. Times are Trio's."""

    viewers: int = 0
    polled_until: float = float("-inf")
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def come(self) -> None:
        """A viewer that takes pictures of any kind has come."""
        self.viewers += 1
        self._tell()

    def go(self) -> None:
        """Such a viewer has left."""
        self.viewers -= 1
        self._tell()

    def poll(self) -> None:
        """Somebody asks for one picture."""
        self.polled_until = trio.current_time() + POLL_S
        self._tell()

    @property
    def wanted(self) -> bool:
        """Whether pictures are wanted now."""
        return self.viewers > 0 or trio.current_time() < self.polled_until

    async def wait(self, wanted: bool) -> None:
        """Return once ``wanted`` is what it is; at once if it is already."""
        while self.wanted is not wanted:
            changed = self._changed
            until = self.polled_until if self.viewers == 0 and self.wanted else float("inf")
            with trio.move_on_at(until):
                await changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
