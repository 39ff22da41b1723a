"""What runs beside a room's camera, from its coming to its leaving: given from outside, one at a time in a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from streamhub.rooms.backoff import run_supervised

Child = Callable[[], Awaitable[None]]


@attrs.define(eq=False)
class Companion:
    """Of one room. ``report`` hears of errors, after which it is run again."""

    report: Callable[[Exception], None]
    _scope: trio.CancelScope | None = None
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    def begin(self, child: Child) -> Child:
        """The task of a camera that has come, to be started; it waits until that of the one before has ended."""
        self.end()
        self._scope = scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                async with self._turn:
                    await run_supervised(child, self.report)

        return run

    def end(self) -> None:
        """The camera has left. Returns at once."""
        if self._scope is not None:
            self._scope.cancel()
