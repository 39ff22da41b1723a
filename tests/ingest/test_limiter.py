from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamhub.ingest.limiter import MOST_KEYS, WindowLimiter


def test_limiter_when_the_limit_is_reached_then_exceeded_until_the_window_is_over() -> None:
    limiter = WindowLimiter(2)
    for at in (10.0, 40.0):
        assert not limiter.exceeded("a", at)
        limiter.count("a", at)
    assert limiter.exceeded("a", 69.9)
    assert not limiter.exceeded("b", 69.9)
    assert not limiter.exceeded("a", 70.0)


def test_limiter_when_a_new_window_begins_then_it_begins_with_its_first_event() -> None:
    limiter = WindowLimiter(1)
    limiter.count("a", 0.0)
    limiter.count("a", 100.0)
    assert limiter.exceeded("a", 159.9)
    assert not limiter.exceeded("a", 160.0)


def test_limiter_when_windows_are_over_then_they_are_forgotten() -> None:
    limiter = WindowLimiter(1)
    for n in range(1000):
        limiter.count(str(n), n / 1000)
    limiter.count("late", 61.0)
    assert len(limiter) == 1


def test_limiter_when_too_many_keys_come_then_the_oldest_is_forgotten_first() -> None:
    limiter = WindowLimiter(1)
    for n in range(MOST_KEYS + 1):
        limiter.count(str(n), 1.0)
    assert len(limiter) == MOST_KEYS
    assert not limiter.exceeded("0", 1.0)
    assert limiter.exceeded("1", 1.0)
    assert limiter.exceeded(str(MOST_KEYS), 1.0)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 40), st.booleans()), max_size=80),
)
def test_limiter_when_compared_with_a_list_of_all_events_then_it_agrees(
    limit: int, steps: list[tuple[str, float, bool]]
) -> None:
    limiter, windows, now = WindowLimiter(limit), dict[str, list[float]](), 0.0
    for key, wait, counted in steps:
        now += wait
        window = windows.setdefault(key, [])
        if window and now - window[0] >= 60:
            window.clear()
        assert limiter.exceeded(key, now) is (len(window) >= limit)
        if counted:
            limiter.count(key, now)
            window.append(now)
