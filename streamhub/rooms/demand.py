"""Who watches a room, and who wants its pictures: what costs a decoder, or a pull, runs only while somebody does."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

# A poll of frame.jpg wants pictures for this long.
POLL_S = 30.0


@attrs.define(eq=False)
class Demand:
    """Viewers, counted, and polls, remembered. Times are Trio's.

    ``wanted``: pictures of any kind are; ``watched``: by whatever way, so that an on-demand source has to run.
    """

    viewers: int = 0
    others: int = 0
    polled_until: float = float("-inf")
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def come(self, *, pictures: bool = True) -> None:
        """A viewer has come; ``pictures``: one that takes pictures of any kind."""
        self._count(1, pictures=pictures)

    def go(self, *, pictures: bool = True) -> None:
        """Such a viewer has left."""
        self._count(-1, pictures=pictures)

    def poll(self) -> None:
        """Somebody asks for one picture."""
        self.polled_until = trio.current_time() + POLL_S
        self._tell()

    @property
    def wanted(self) -> bool:
        """Whether pictures are wanted now."""
        return self.viewers > 0 or trio.current_time() < self.polled_until

    @property
    def watched(self) -> bool:
        """Whether anybody watches now."""
        return self.others > 0 or self.wanted

    async def wait(self, holds: Callable[[Demand], bool]) -> None:
        """Return once ``holds`` says yes; at once if it does already."""
        while not holds(self):
            changed = self._changed
            now = trio.current_time()
            with trio.move_on_at(self.polled_until if self.polled_until > now else float("inf")):
                await changed.wait()

    def _count(self, by: int, *, pictures: bool) -> None:
        if pictures:
            self.viewers += by
        else:
            self.others += by
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
