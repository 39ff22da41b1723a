from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.simulator.pace import RateMeter, Schedule

INTERVALS = st.floats(0.001, 10)
PAUSES = st.lists(st.floats(0, 30), min_size=1, max_size=60)


@given(start=st.floats(0, 1e6), interval=INTERVALS, pauses=PAUSES)
def test_schedule_when_asked_at_any_times_then_slots_never_drift_repeat_or_burst(start, interval, pauses):
    schedule, now, passed, last = Schedule(start, interval), start, 0, None
    for pause in pauses:
        due, missed = schedule.next_slot(now)
        slot = passed + missed
        # Each slot is a multiple of the interval from the start: the error does not grow with the number of frames.
        assert due == start + slot * interval
        assert missed >= 0
        assert last is None or due > last
        # A late caller is given the slot that runs now, never older ones.
        assert due > now - interval - 1e-6
        passed, last = slot + 1, due
        now = max(now, due) + pause


@given(fps=st.floats(0.5, 60), seconds=st.integers(1, 120))
def test_schedule_when_the_caller_is_prompt_then_gives_exactly_the_rate(fps, seconds):
    schedule, now, frames = Schedule(100.0, 1 / fps), 100.0, 0
    while True:
        due, missed = schedule.next_slot(now)
        assert missed == 0
        now = max(now, due)
        if now >= 100.0 + seconds:
            break
        frames += 1
    assert frames == pytest.approx(seconds * fps, abs=1.01)


def test_schedule_when_a_frame_takes_three_slots_then_misses_two():
    schedule = Schedule(0.0, 0.1)
    assert schedule.next_slot(0.0) == (0.0, 0)
    due, missed = schedule.next_slot(0.35)
    assert (due, missed) == (pytest.approx(0.3), 2)
    assert schedule.next_slot(0.36)[0] == pytest.approx(0.4)


def test_rates_when_frames_come_evenly_then_are_those_of_the_window():
    meter = RateMeter(window_s=5)
    for n in range(200):
        meter.add(n / 10, 1000)
    fps, bytes_per_s = meter.rates(19.9)
    assert fps == pytest.approx(10, abs=0.3)
    assert bytes_per_s == pytest.approx(10_000, abs=300)


def test_rates_when_nothing_came_for_a_window_then_are_zero():
    meter = RateMeter(window_s=5)
    assert meter.rates(1.0) == (0.0, 0.0)
    meter.add(1.0, 10)
    assert meter.rates(6.0) == (0.0, 0.0)


def test_rates_when_reset_then_start_anew():
    meter = RateMeter()
    meter.add(1.0, 10)
    meter.reset()
    assert meter.rates(1.0) == (0.0, 0.0)


@given(times=st.lists(st.floats(0, 100), min_size=1).map(sorted))
def test_rates_when_frames_come_anyhow_then_are_finite_and_not_negative(times):
    meter = RateMeter()
    for at in times:
        meter.add(at, 1)
    fps, bytes_per_s = meter.rates(times[-1])
    assert 0 <= fps <= 2 * len(times)
    assert math.isclose(fps, bytes_per_s)
