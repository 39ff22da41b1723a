"""The newest picture of a room, and nothing older (depth 1, newest wins)."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio


@attrs.define(eq=False)
class Latest:
    """A slot for one picture. ``seq`` rises with every ``publish``; ``live`` is False for a placeholder.

    ``past`` is told each picture that was live when it is not any more, and nothing live takes its place.
    ``follow`` is called at once after each ``publish`` and ``retire``.
    """

    jpeg: bytes = b""
    seq: int = 0
    live: bool = False
    past: Callable[[bytes], None] = lambda _jpeg: None
    follow: Callable[[], None] | None = None
    _changed: trio.Event | None = None

    def publish(self, jpeg: bytes, *, live: bool) -> None:
        """Swap the picture and wake whoever waits. Returns at once."""
        if self.live and not live:
            self.past(self.jpeg)
        self.jpeg, self.live = jpeg, live
        self.seq += 1
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        if self.follow is not None:
            self.follow()

    def retire(self) -> None:
        """Forget the picture: it is live no more, and nobody who comes now may be shown it. ``seq`` stays."""
        if self.live:
            self.past(self.jpeg)
        self.jpeg, self.live = b"", False
        if self.follow is not None:
            self.follow()

    def newer_than(self, seq: int) -> bool:
        """Whether there is a picture, and ``seq`` is not it."""
        return self.seq != seq and bool(self.jpeg)

    async def wait_newer(self, seq: int) -> None:
        """Return once there is a picture other than ``seq``; at once if there already is."""
        while not self.newer_than(seq):
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()
