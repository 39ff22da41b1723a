"""A viewer whose pictures another process sends; it is counted, limited and made to go like any other.

We keep its socket: closing it (``net.connection.DoorWire.shared``) takes effect whatever the other process is doing.
"""

from __future__ import annotations

import math
from typing import Protocol

import attrs
import trio

from streamhub.rooms.pump import Pump
from streamhub.rooms.viewer import Wire

# Handing a picture over costs as much as sending it to fifty viewers: with so many for each process that sends, a fifth
# more in all at most.
PASS_ON_FROM = 250


class Carriers(Protocol):
    """Those who send for us."""

    @property
    def ready(self) -> bool:
        """Whether there is one now."""
        ...

    async def carry(self, fd: int, head: bytes, pump: Pump, interval_s: float) -> str:
        """Have somebody send ``head`` and then the pump's pictures to the socket ``fd``.

        Returns why that is over: a reason of ``Viewer``'s, or ``lost`` where the one who sent is gone.
        """
        ...


@attrs.define(eq=False)
class PassedOn:
    """As ``Viewer`` towards its room. Whoever runs it closes the connection."""

    wire: Wire
    head: bytes
    pump: Pump
    interval_s: float
    carriers: Carriers
    until: float = math.inf
    end_reason: str = "left"
    # Nobody here knows where it is: nothing more may be sent.
    midway: bool = True
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def poke(self) -> None:
        """It is told of no states."""

    def dismiss(self, reason: str = "dismissed") -> None:
        """Make the viewer go, even from the middle of a picture. Returns at once."""
        self.end_reason = reason
        self._scope.cancel()

    async def run(self) -> None:
        """Run until the viewer is gone. If cancelled, it stops wherever it is."""
        self._scope.deadline = self.until
        try:
            with self._scope:
                self.end_reason = await self.carriers.carry(self.wire.fd, self.head, self.pump, self.interval_s)
        finally:
            if self._scope.cancelled_caught and self.end_reason == "left":
                self.end_reason = "expired"
