from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streamhub.simulator.backoff import Backoff


@given(seed=st.integers())
def test_backoff_when_tries_fail_then_doubles_to_its_ceiling_within_the_spread(seed):
    backoff = Backoff(random=random.Random(seed))
    delays = [backoff.next_delay() for _ in range(100)]
    for delay, full in zip(delays, [0.5, 1, 2, 4, 8] + [10] * 95, strict=True):
        assert full / 2 <= delay <= full


def test_backoff_when_a_try_ran_a_minute_then_starts_anew():
    backoff = Backoff(random=random.Random(1))
    for _ in range(9):
        backoff.next_delay(59.9)
    assert backoff.next_delay(59.9) >= 5
    assert backoff.next_delay(60.0) <= 0.5
    assert backoff.next_delay() <= 1.0


def test_backoff_when_many_cameras_lose_one_server_then_they_do_not_return_together():
    delays = {round(Backoff(random=random.Random(n)).next_delay(), 3) for n in range(200)}
    assert len(delays) > 100
