"""Who watches a room, and by what: what costs a decoder, an encoder or a pull runs only while somebody does."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias, TypeVar

import attrs
import trio

# A poll of frame.jpg wants pictures for this long.
POLL_S = 30.0
# Who was just given a token for LiveKit's room is expected for this long, and so is the last who left it.
LIVEKIT_S = 30.0

# ``page``: one that takes no pictures, because it plays by WebRTC; ``hls``: a lease or an order of a playlist.
By: TypeAlias = Literal["pictures", "page", "hls"]
_T = TypeVar("_T")


@attrs.define(eq=False)
class Demand:
    """Viewers, counted; polls and tokens, remembered. Times are Trio's.

    ``onlookers``: who may watch in LiveKit's room; ``talkers``: who publishes there, not counting our relays.

    ``wanted``: pictures of any kind are; ``livekit_wanted``: media in LiveKit is; ``watched``: by whatever way, so that
    an on-demand source has to run.
    """

    viewers: int = 0
    pages: int = 0
    hls: int = 0
    onlookers: int = 0
    talkers: int = 0
    polled_until: float = -math.inf
    livekit_until: float = -math.inf
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def come(self, by: By = "pictures") -> None:
        """A viewer has come."""
        self._count(1, by)

    def go(self, by: By = "pictures") -> None:
        """Such a viewer has left."""
        self._count(-1, by)

    def poll(self) -> None:
        """Somebody asks for one picture."""
        self.polled_until = trio.current_time() + POLL_S
        self._tell()

    def want_livekit(self) -> None:
        """Somebody is about to enter LiveKit's room."""
        self.livekit_until = trio.current_time() + LIVEKIT_S
        self._tell()

    def look_on(self, onlookers: int) -> None:
        """So many are in LiveKit's room now who may watch."""
        if onlookers == self.onlookers:
            return
        if not onlookers:
            self.want_livekit()  # who comes back in a moment finds it going on
        self.onlookers = onlookers
        self._tell()

    def talk(self, talkers: int) -> None:
        """So many publish in LiveKit's room now, not counting relays of ours."""
        self.talkers = talkers
        self._tell()

    @property
    def wanted(self) -> bool:
        """Whether pictures are wanted now."""
        return self.viewers > 0 or trio.current_time() < self.polled_until

    @property
    def livekit_wanted(self) -> bool:
        """Whether media in LiveKit is wanted now."""
        return self.onlookers > 0 or trio.current_time() < self.livekit_until

    @property
    def watched(self) -> bool:
        """Whether anybody watches now."""
        return self.pages > 0 or self.hls > 0 or self.wanted or self.livekit_wanted

    async def wait(self, holds: Callable[[Demand], bool]) -> None:
        """Return once ``holds`` says yes; at once if it does already."""
        while not holds(self):
            changed, now = self._changed, trio.current_time()
            ends = [at for at in (self.polled_until, self.livekit_until) if at > now]
            with trio.move_on_at(min(ends, default=math.inf)):
                await changed.wait()

    async def during(
        self, holds: Callable[[Demand], bool], child: Callable[[], Awaitable[_T]], linger_s: float = 0.0
    ) -> _T | None:
        """What ``child`` returns; None if it was cancelled because ``holds`` has said no for ``linger_s``."""
        result: _T | None = None
        async with trio.open_nursery() as nursery:

            async def enough() -> None:
                while True:
                    await self.wait(lambda d: not holds(d))
                    with trio.move_on_after(linger_s):
                        await self.wait(holds)
                        continue
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(enough)
            result = await child()
            nursery.cancel_scope.cancel()
        return result

    def _count(self, change: int, by: By) -> None:
        if by == "pictures":
            self.viewers += change
        elif by == "hls":
            self.hls += change
        else:
            self.pages += change
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
