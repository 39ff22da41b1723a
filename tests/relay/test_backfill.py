"""The first pictures of a stream, as libav was seen to give them for RTSP."""

from __future__ import annotations

from streamhub.relay.backfill import Backfill, Raw

FRAME = 40_000


def raw(pts: int | None, dts: int | None) -> Raw:
    return Raw(b"", False, None if pts is None else pts * FRAME, None if dts is None else dts * FRAME, FRAME)


def run(depth: int, *units: Raw) -> list[tuple[float, float]]:
    filler, out = Backfill(depth), []
    for one in units:
        out += [(got.pts / FRAME, got.dts / FRAME) for got in filler.add(one)]  # type: ignore[operator]
    return out


def test_b_frames_then_the_held_ones_get_times_that_go_on() -> None:
    given = [raw(None, None), raw(3, None), raw(1, None), raw(2, 1), raw(6, 2), raw(4, 3)]
    assert run(2, *given) == [(0, -2), (3, -1), (1, 0), (2, 1), (6, 2), (4, 3)]


def test_no_b_frames_then_the_first_is_one_step_before_the_second() -> None:
    assert run(0, raw(None, None), raw(1, 1), raw(2, 2)) == [(0, 0), (1, 1), (2, 2)]


def test_times_from_the_beginning_then_nothing_is_held_or_changed() -> None:
    filler = Backfill(2)
    assert filler.add(raw(0, -2)) == [raw(0, -2)]
    assert filler.add(raw(3, None)) == [raw(3, None)]
    assert Backfill(0).add(raw(5, None))[0].pts == 5 * FRAME


def test_no_time_ever_then_they_are_passed_on_as_they_are() -> None:
    filler = Backfill(1)
    got = [len(filler.add(raw(None, None))) for _ in range(25)]
    assert sum(got) == 25
