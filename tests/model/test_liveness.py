from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streamhub.model.liveness import STALE_LEAST_S, Liveness, Meter
from streamhub.model.streams import State

DAY = datetime(2026, 11, 23, tzinfo=UTC)


def wall(now: float) -> datetime:
    return DAY + timedelta(seconds=now)


def camera(*times: float) -> Liveness:
    """A source connected at 0 with frames at ``times``."""
    state = Liveness()
    assert state.connected(wall(0))
    for now in times:
        state.tick(now, wall(now))
        state.frame(now, wall(now))
    return state


def test_liveness_when_new_then_offline_since_never() -> None:
    assert Liveness().state is State.OFFLINE
    assert Liveness().since is None


def test_liveness_when_a_camera_comes_streams_and_leaves_then_each_step_is_dated() -> None:
    state = Liveness()
    assert state.connected(wall(1))
    assert (state.state, state.since) == (State.CONNECTING, wall(1))
    assert state.frame(2, wall(2))
    assert (state.state, state.since, state.last_frame_at) == (State.LIVE, wall(2), wall(2))
    assert not state.frame(2.1, wall(2.1))
    assert (state.since, state.last_frame_at) == (wall(2), wall(2.1))
    assert state.disconnected(wall(3))
    assert (state.state, state.since) == (State.OFFLINE, wall(3))
    assert not state.disconnected(wall(4))
    assert state.since == wall(3)


def test_liveness_when_a_connection_takes_over_a_live_room_then_it_stays_live() -> None:
    state = camera(1.0)
    assert not state.connected(wall(2))
    assert (state.state, state.since) == (State.LIVE, wall(1))


def test_liveness_when_nothing_was_ever_sent_then_connecting_does_not_go_stale() -> None:
    state = camera()
    assert not state.tick(1e6, wall(1e6))
    assert state.state is State.CONNECTING


def test_liveness_when_frames_come_fast_and_stop_then_stale_after_three_seconds() -> None:
    state = camera(*(n / 15 for n in range(150)))
    last = 149 / 15
    assert state.stale_at() == last + STALE_LEAST_S
    assert not state.tick(last + 2.99, wall(last + 2.99))
    assert state.tick(last + 3.0, wall(last + 3.0))
    assert (state.state, state.since) == (State.STALE, wall(last + 3.0))
    assert not state.tick(last + 9, wall(last + 9))


def test_liveness_when_frames_come_every_four_seconds_then_stale_after_three_of_their_intervals() -> None:
    state = camera(*range(0, 41, 4))
    assert state.stale_at() == pytest.approx(40 + 12)


def test_liveness_when_a_stale_camera_sends_again_then_it_is_live_again() -> None:
    state = camera(0.0, 0.1, 0.2)
    assert state.tick(10, wall(10))
    assert state.frame(11, wall(11))
    assert (state.state, state.since) == (State.LIVE, wall(11))


def test_liveness_when_there_was_one_long_outage_then_the_next_is_still_noticed_soon() -> None:
    frames = [n / 10 for n in range(100)]
    state = camera(*frames, *(120 + f for f in frames[:3]))
    assert state.stale_at() - 120.2 <= 3.5


def test_liveness_when_the_camera_is_another_after_a_break_then_its_rhythm_is_learnt_anew() -> None:
    state = camera(0, 20, 40)
    assert state.stale_at() == pytest.approx(100)
    state.disconnected(wall(41))
    state.connected(wall(42))
    state.frame(43, wall(43))
    assert state.stale_at() == 43 + STALE_LEAST_S


def test_meter_when_nothing_came_then_zero() -> None:
    assert Meter().rates(12345.6) == (0.0, 0)


def test_meter_when_frames_come_steadily_then_their_rate() -> None:
    meter = Meter()
    for n in range(1000):
        meter.add(7.0 + n / 10, 1000)
    fps, bitrate = meter.rates(7.0 + 100)
    assert fps == pytest.approx(10, abs=0.05)
    assert bitrate == pytest.approx(80_000, rel=0.005)
    assert (meter.frames, meter.bytes) == (1000, 1_000_000)


def test_meter_when_it_has_just_begun_then_the_first_frames_are_not_called_a_huge_rate() -> None:
    meter = Meter()
    meter.add(100.0, 10)
    meter.add(100.001, 10)
    assert meter.rates(100.002) == (2.0, 160)


@pytest.mark.parametrize("pause", [6.0, 7.5, 60.0, 1e6])
def test_meter_when_the_source_fell_silent_then_zero(pause: float) -> None:
    meter = Meter()
    for n in range(50):
        meter.add(n / 10, 1000)
    assert meter.rates(4.9 + pause) == (0.0, 0)
