"""The liveness machine under any order of events, and the meter against a list of every frame."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamhub.model.liveness import STALE_LEAST_S, Liveness, Meter
from streamhub.model.streams import State

DAY = datetime(2026, 11, 23, tzinfo=UTC)
WAITS = st.sampled_from([0.0, 1 / 15, 0.5, 1.0, 2.999, 3.0, 10.0, 29.0, 3600.0]) | st.floats(0, 100)


class LivenessMachine(RuleBasedStateMachine):
    """Knows only: is a source there, when was its last frame, and how far apart frames ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.live = Liveness()
        self.now = 1000.0
        self.source = False
        self.last: float | None = None
        self.longest = 0.0

    @property
    def wall(self) -> datetime:
        return DAY + timedelta(seconds=self.now)

    def check(self, changed: bool, before: tuple[State, datetime | None]) -> None:
        assert changed is (self.live.state is not before[0])
        assert self.live.since == (self.wall if changed else before[1])

    @rule(wait=WAITS)
    def time_passes(self, wait: float) -> None:
        self.now += wait
        before = self.live.state, self.live.since
        self.check(self.live.tick(self.now, self.wall), before)
        # Never shown as live: longer silent than three seconds and three times any gap it ever had.
        if self.last is not None and self.now - self.last >= max(STALE_LEAST_S, 3 * self.longest) + 1e-6:
            assert self.live.state is not State.LIVE

    @rule()
    def source_comes(self) -> None:
        before = self.live.state, self.live.since
        self.check(self.live.connected(self.wall), before)
        if not self.source:
            assert self.live.state is State.CONNECTING
            self.last, self.longest = None, 0.0
        self.source = True

    @rule(wait=WAITS)
    def frame_comes(self, wait: float) -> None:
        if not self.source:
            return
        self.now += wait
        if self.last is not None:
            self.longest = max(self.longest, self.now - self.last)
        self.last = self.now
        before = self.live.state, self.live.since
        self.check(self.live.frame(self.now, self.wall), before)
        assert self.live.state is State.LIVE
        assert self.live.last_frame_at == self.wall

    @rule()
    def source_leaves(self) -> None:
        before = self.live.state, self.live.since
        self.check(self.live.disconnected(self.wall), before)
        self.source = False
        assert self.live.state is State.OFFLINE

    @invariant()
    def active_exactly_while_there_is_a_source(self) -> None:
        assert self.live.state.active is self.source

    @invariant()
    def a_frame_is_given_at_least_three_seconds(self) -> None:
        if self.live.state is State.STALE:
            assert self.last is not None
            assert self.now - self.last >= STALE_LEAST_S
        if self.live.state is State.LIVE:
            assert self.live.stale_at() >= (self.last or 0.0) + STALE_LEAST_S


TestLivenessMachine = LivenessMachine.TestCase


@given(st.lists(st.tuples(WAITS, st.integers(0, 10_000)), max_size=60), WAITS)
def test_meter_when_compared_with_a_list_of_all_frames_then_the_rates_are_the_same(
    arrivals: list[tuple[float, int]], wait: float
) -> None:
    meter, frames, now = Meter(), [], 5000.25
    for gap, size in arrivals:
        now += gap
        meter.add(now, size)
        frames.append((now, size))
    now += wait
    recent = [size for at, size in frames if int(at) >= int(now) - 5]
    fps, bitrate = meter.rates(now)
    assert (meter.frames, meter.bytes) == (len(frames), sum(size for _, size in frames))
    if not frames:
        assert (fps, bitrate) == (0.0, 0)
        return
    span = min(now - frames[0][0], 5 + now - int(now))
    divisor = span if span >= 0.5 else 1.0
    assert math.isclose(fps, len(recent) / divisor)
    assert bitrate == int(sum(recent) * 8 / divisor)
