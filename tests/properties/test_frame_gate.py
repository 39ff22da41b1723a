"""FrameGate against a model that keeps every frame: exact fractions, and the whole past looked at each time."""

from __future__ import annotations

from fractions import Fraction

import attrs
from hypothesis import given
from hypothesis import strategies as st

from streamhub.model.access import CameraLimits
from streamhub.wire.camera import FrameGate, Verdict

FRAMES = {
    "good": b"\xff\xd8\xff\xe0".ljust(50, b"\0"),
    "full": b"\xff\xd8\xff\xe0".ljust(100, b"\0"),
    "bad": b"\xff\xd9\xff\xe0",
    "short": b"\xff\xd8\xff",
    "empty": b"",
    "large": b"\xff\xd8\xff\xe0".ljust(101, b"\0"),
}


@attrs.define
class SlowGate:
    """Contract §4 read aloud."""

    max_fps: int
    past: list[str] = attrs.field(factory=list)
    level: Fraction = attrs.field(init=False)
    at: Fraction | None = None

    def __attrs_post_init__(self) -> None:
        self.level = Fraction(self.max_fps)

    def judge(self, kind: str, now: Fraction) -> Verdict:
        if kind == "large":
            return Verdict.TOO_LARGE
        self.past.append(kind)
        if kind in ("bad", "short", "empty"):
            run = 0
            for earlier in reversed(self.past):
                if earlier in ("good", "full"):
                    break
                run += 1
            return Verdict.INVALID_RUN if run >= 5 else Verdict.NOT_JPEG
        if self.at is not None:
            self.level = min(Fraction(self.max_fps), self.level + (now - self.at) * self.max_fps)
        self.at = now
        if self.level < 1:
            return Verdict.DROP_FPS
        self.level -= 1
        return Verdict.ACCEPT


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.sampled_from(sorted(FRAMES)), st.integers(0, 2048)), max_size=150),
)
def test_judge_when_compared_with_the_slow_model_then_every_verdict_is_the_same(
    max_fps: int, arrivals: list[tuple[str, int]]
) -> None:
    gate, slow = FrameGate(CameraLimits(max_fps=max_fps, max_frame_bytes=100)), SlowGate(max_fps)
    ticks = 0
    for kind, wait in arrivals:
        ticks += wait  # in 1/1024 s: exact in binary, so both count the same tokens
        verdict = gate.judge(FRAMES[kind], ticks / 1024)
        assert verdict is slow.judge(kind, Fraction(ticks, 1024))
        if verdict in (Verdict.TOO_LARGE, Verdict.INVALID_RUN):
            return


@given(st.integers(1, 60), st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_judge_when_any_second_is_looked_at_then_at_most_twice_the_rate_passed(
    max_fps: int, waits: list[float]
) -> None:
    gate = FrameGate(CameraLimits(max_fps=max_fps))
    now, passed = 0.0, []
    for wait in waits:
        now += wait
        if gate.judge(FRAMES["good"], now) is Verdict.ACCEPT:
            passed.append(now)
    for start in passed:
        assert sum(start <= at < start + 1 for at in passed) <= 2 * max_fps
