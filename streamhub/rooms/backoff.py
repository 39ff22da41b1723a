"""Restarting what must not stay down: capped, jittered, for ever."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator

import trio

HEALTHY_S = 60.0


def delays(base: float = 0.5, cap: float = 30.0, rng: random.Random | None = None) -> Iterator[float]:
    """Seconds to wait before each restart: doubling from ``base`` to ``cap``, each ±20 %."""
    uniform = (rng or random).uniform
    delay = base
    while True:
        yield delay * uniform(0.8, 1.2)
        delay = min(delay * 2, cap)


async def run_supervised(child: Callable[[], Awaitable[None]], report: Callable[[Exception], None]) -> None:
    """Run ``child`` for ever; after an error wait and run it again. Cancellation passes straight through.

    ``child`` returning is an error too: it was meant to go on. A child that ran a minute starts the delays anew.
    """
    waits = delays()
    while True:
        started = trio.current_time()
        try:
            await child()
            raise RuntimeError("returned although it should go on")
        except Exception as exc:  # the room boundary
            report(exc)
        if trio.current_time() - started >= HEALTHY_S:
            waits = delays()
        await trio.sleep(next(waits))
