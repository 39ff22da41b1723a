from __future__ import annotations

import random
from itertools import islice, pairwise

import pytest
import trio

from streamhub.rooms.backoff import HEALTHY_S, delays, run_supervised


def test_delays_when_they_grow_then_they_double_up_to_the_cap_within_a_fifth() -> None:
    found = list(islice(delays(0.5, 30.0, random.Random(7)), 12))
    wanted = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]
    assert all(0.8 * w <= f <= 1.2 * w for f, w in zip(found, wanted, strict=True))
    assert len({f / w for f, w in zip(found, wanted, strict=True)}) > 6


async def test_run_supervised_when_the_child_fails_or_returns_then_it_runs_again_after_a_delay() -> None:
    started: list[float] = []
    errors: list[Exception] = []

    async def child() -> None:
        started.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if len(started) == 1:
            raise KeyError("first")
        if len(started) == 3:
            scope.cancel()
            await trio.sleep_forever()

    with trio.CancelScope() as scope:
        await run_supervised(child, errors.append)
    assert scope.cancelled_caught
    gaps = [b - a for a, b in pairwise(started)]
    assert 0.4 <= gaps[0] <= 0.6
    assert 0.8 <= gaps[1] <= 1.2
    assert [type(e) for e in errors] == [KeyError, RuntimeError]


async def test_run_supervised_when_the_child_ran_for_a_minute_then_the_delays_start_anew() -> None:
    began: list[float] = []
    ended: list[float] = []

    async def child() -> None:
        began.append(trio.current_time())
        await trio.sleep(HEALTHY_S + 1 if len(began) == 5 else 0.001)
        ended.append(trio.current_time())
        raise OSError("gone")

    with trio.move_on_after(HEALTHY_S + 30):
        await run_supervised(child, lambda _: None)
    pauses = [b - e for e, b in zip(ended, began[1:], strict=False)]
    assert pauses[3] == pytest.approx(4, rel=0.2)
    assert pauses[4] == pytest.approx(0.5, rel=0.2)
