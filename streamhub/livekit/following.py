"""Keeping what we know of LiveKit's services true: their list is compared with ours, by the clock and when told to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import attrs
import structlog
import trio

from streamhub.errors import StreamHubError

PERIOD_S = 5.0
# That LiveKit is away is told by whoever keeps it.
_AWAY = frozenset({"livekit_down", "no_livekit"})


@attrs.define(eq=False)
class Following(ABC):
    """``run`` is a task its owner must start. ``problem`` is why the last look failed."""

    what: ClassVar[str]
    log: ClassVar[structlog.stdlib.BoundLogger]
    problem: StreamHubError | None = attrs.field(default=None, init=False)
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    def look_soon(self) -> None:
        """Something happened to one of them. Returns at once."""
        self._wake.set()

    async def run(self) -> None:
        """Look every five seconds and when told to, until cancelled."""
        while True:
            self._wake = trio.Event()
            await self.look()
            with trio.move_on_after(PERIOD_S):
                await self._wake.wait()

    async def look(self) -> None:
        """Compare once. A failure is logged, and kept in ``problem``."""
        async with self._lock:
            try:
                await self._compare()
            except StreamHubError as exc:
                if self.problem is None or self.problem.code != exc.code:
                    tell = self.log.info if exc.code in _AWAY else self.log.warning
                    tell(f"cannot look after LiveKit's {self.what}", error=exc.message, hint=exc.hint)
                self.problem = exc
            else:
                if self.problem is not None:
                    self.log.info(f"LiveKit's {self.what} can be looked after again")
                self.problem = None

    @abstractmethod
    async def _compare(self) -> None:
        """Compare LiveKit's list with ours. Raises StreamHubError."""
