"""Who wants something that costs: those who asked for it a while ago, and an order that holds until it is ended."""

from __future__ import annotations

import math
import secrets

import attrs
import trio

LEASE_S = 30.0


@attrs.define(eq=False)
class Lease:
    """Wanted for ``lease_s`` after each ``touch``, and from ``hold`` to ``let_go``."""

    # Set while somebody looks after the end of the lease and keeps the room open for it.
    leased: bool = attrs.field(default=False, init=False)
    held: str | None = attrs.field(default=None, init=False)
    lease_s: float = attrs.field(default=LEASE_S, init=False)
    _until: float = attrs.field(default=-math.inf, init=False)
    _moved: trio.Event = attrs.field(factory=trio.Event, init=False)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody watches, or has ordered it."""
        return self.held is not None or trio.current_time() < self._until

    def touch(self) -> None:
        """Somebody has asked for it: the lease is whole again."""
        was = self.is_wanted
        self._until = trio.current_time() + self.lease_s
        if not was:
            self._move()

    def hold(self) -> str:
        """Want it until ``let_go``; returns the name of this order, the old one if there is."""
        self.held = self.held or f"hls_{secrets.token_hex(8)}"
        self._move()
        return self.held

    def let_go(self, *, at_once: bool = False) -> str | None:
        """End the order and return its name. ``at_once``: for whoever watches too."""
        name, self.held = self.held, None
        if at_once:
            self._until = -math.inf
        self._move()
        return name

    async def wanted(self) -> None:
        """Return when somebody wants it."""
        while not self.is_wanted:
            await self._moved.wait()

    async def unwanted(self) -> None:
        """Return when nobody wants it any more: so long after the last request, and no order."""
        while self.is_wanted:
            with trio.move_on_at(math.inf if self.held is not None else self._until):
                await self._moved.wait()

    def _move(self) -> None:
        """Something has changed: whoever waits looks again."""
        self._moved.set()
        self._moved = trio.Event()
