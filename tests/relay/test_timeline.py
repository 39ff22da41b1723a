"""Timestamps of sources, as they come and as they are made to be."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamhub.relay.timeline import START, Timeline, WallClock

FRAME = 40_000


def run(timeline: Timeline, stream: str, raw: list[int], duration: int = FRAME) -> list[int]:
    return [timeline.place(stream, t, t, duration)[1] for t in raw]


def steps(times: list[int]) -> list[int]:
    return [b - a for a, b in itertools.pairwise(times)]


def test_first_unit_then_the_timeline_begins_there_and_both_streams_stay_in_step() -> None:
    timeline = Timeline()
    assert timeline.place("video", 90_000_000, 90_000_000, FRAME) == (START, START)
    assert timeline.place("audio", 90_010_000, 90_010_000, 21_333, sound=True) == (START + 10_000, START + 10_000)


def test_clock_that_wraps_then_time_goes_on() -> None:
    wrap = 2**32 * 1000
    raw = [(wrap - 3 * FRAME + n * FRAME) % wrap for n in range(6)]
    assert steps(run(Timeline(), "video", raw)) == [FRAME] * 5


def test_clock_that_is_set_ahead_then_no_hole_is_seen() -> None:
    raw = [0, FRAME, 3_600_000_000, 3_600_000_000 + FRAME]
    assert steps(run(Timeline(), "video", raw)) == [FRAME] * 3


def test_jump_of_both_streams_one_after_the_other_then_they_are_in_step_again() -> None:
    timeline, back = Timeline(), -500_000_000
    placed: dict[str, list[int]] = {"video": [], "audio": []}
    for n in range(20):
        # Sound is sent a little late: it jumps two pictures after the pictures did.
        for stream, jumped in (("video", n >= 8), ("audio", n >= 10)):
            raw = 600_000_000 + n * FRAME + (back if jumped else 0)
            placed[stream].append(timeline.place(stream, raw, raw, FRAME)[1])
    assert timeline.jumps == 1
    assert steps(placed["video"]) == [FRAME] * 19
    assert placed["audio"][-1] == placed["video"][-1]
    assert all(step > 0 for step in steps(placed["audio"]))


def test_stall_of_some_seconds_then_the_hole_stays() -> None:
    assert steps(run(Timeline(), "video", [0, FRAME, 5_000_000])) == [FRAME, 5_000_000 - FRAME]


def test_missing_dts_with_b_frames_then_it_grows_and_is_never_after_the_pts() -> None:
    timeline = Timeline()
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    placed = [timeline.place("video", n * FRAME, None, FRAME) for n in order]
    assert all(b > a for a, b in zip([d for _, d in placed], [d for _, d in placed[1:]], strict=False))
    assert all(dts <= pts for pts, dts in placed)


def test_no_time_at_all_then_units_follow_each_other() -> None:
    timeline = Timeline()
    assert [timeline.place("video", None, None, FRAME)[1] for _ in range(3)] == [
        START,
        START + FRAME,
        START + 2 * FRAME,
    ]


def test_dts_that_stands_still_then_it_grows() -> None:
    assert all(step > 0 for step in steps(run(Timeline(), "video", [0, 0, 0, -10, 5])))


def test_sound_rounded_to_milliseconds_then_it_is_even_for_hours() -> None:
    timeline, exact = Timeline(), 1024 * 1e6 / 48_000
    placed = []
    for n in range(200_000):
        raw = round(n * exact / 1000) * 1000
        placed.append(timeline.place("audio", raw, raw, exact, sound=True)[1])
    assert set(steps(placed)) == {21_333, 21_334}
    assert abs(placed[-1] - START - round(199_999 * exact)) <= 1


def test_sound_with_a_real_gap_then_the_gap_stays() -> None:
    timeline = Timeline()
    timeline.place("audio", 0, 0, 20_000, sound=True)
    assert timeline.place("audio", 500_000, 500_000, 20_000, sound=True)[1] == START + 500_000


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["video", "audio"]),
            st.none() | st.integers(-(2**45), 2**45),
            st.none() | st.integers(-(2**45), 2**45),
            st.integers(0, 10_000_000),
        ),
        max_size=60,
    )
)
def test_whatever_comes_then_dts_grows_and_pts_is_not_before_it(units) -> None:
    timeline, last = Timeline(), {}
    for stream, pts, dts, duration in units:
        show, decode = timeline.place(stream, pts, dts, duration, sound=stream == "audio")
        assert decode <= show
        assert decode > last.get(stream, -1)
        last[stream] = decode


def test_wall_clock_then_it_follows_slowly_and_jumps_only_far() -> None:
    clock = WallClock()
    assert clock.at_ms(0, 50_000) == 50_000
    assert clock.at_ms(1_000_000, 51_400) == 51_000, "a late packet is no reason to move"
    drifting = [clock.at_ms(n * 1_000_000, 50_000 + n * 1000 + n) for n in range(2, 2000)]
    assert abs(drifting[-1] - (50_000 + 1999 * 1001)) < 2000
    assert clock.at_ms(3_000_000_000, 90_000_000) == 90_000_000
