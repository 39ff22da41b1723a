"""Restarting what must not stay down: capped, jittered, for ever."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator

import attrs
import trio

HEALTHY_S = 60.0


def delays(base: float = 0.5, cap: float = 30.0, rng: random.Random | None = None) -> Iterator[float]:
    """Seconds to wait before each restart: doubling from ``base`` to ``cap``, each ±20 %."""
    uniform = (rng or random).uniform
    delay = base
    while True:
        yield delay * uniform(0.8, 1.2)
        delay = min(delay * 2, cap)


@attrs.define
class Lives:
    """The waits between the lives of something: they begin anew after one of more than ``steady_s``."""

    base: float
    cap: float
    steady_s: float
    _waits: Iterator[float] = attrs.field(init=False)
    _began: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._anew()
        self.begin()

    def begin(self) -> None:
        """A life begins; the first one does with this object."""
        self._began = trio.current_time()

    def end(self) -> float:
        """It has ended; seconds to wait until the next one."""
        if trio.current_time() - self._began > self.steady_s:
            self._anew()
        return next(self._waits)

    def _anew(self) -> None:
        self._waits = delays(self.base, self.cap)


async def run_supervised(child: Callable[[], Awaitable[None]], report: Callable[[Exception], None]) -> None:
    """Run ``child`` for ever; after an error wait and run it again. Cancellation passes straight through.

    ``child`` returning is an error too: it was meant to go on. A child that ran a minute starts the delays anew.
    """
    lives = Lives(0.5, 30.0, HEALTHY_S)
    while True:
        lives.begin()
        try:
            await child()
            raise RuntimeError("returned although it should go on")
        except Exception as exc:  # the room boundary
            report(exc)
        await trio.sleep(lives.end())
