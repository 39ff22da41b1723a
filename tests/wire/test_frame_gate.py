from __future__ import annotations

import pytest

from streamhub.model.access import CameraLimits
from streamhub.wire.camera import FrameGate, Verdict

GOOD = b"\xff\xd8\xff\xe0"
BAD = b"GIF89a"


def test_judge_when_the_frame_is_exactly_as_large_as_allowed_then_it_passes_and_one_byte_more_does_not() -> None:
    gate = FrameGate(CameraLimits(max_frame_bytes=1000))
    assert gate.judge(GOOD.ljust(1000, b"\0"), 0.0) is Verdict.ACCEPT
    assert gate.judge(GOOD.ljust(1001, b"\0"), 0.0) is Verdict.TOO_LARGE


def test_judge_when_a_frame_is_too_large_and_no_jpeg_then_its_size_is_named() -> None:
    assert FrameGate(CameraLimits(max_frame_bytes=10)).judge(b"x" * 11, 0.0) is Verdict.TOO_LARGE


@pytest.mark.parametrize("frame", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xd8\xff\0\0", b"<html>"])
def test_judge_when_five_frames_in_a_row_are_no_jpeg_then_the_fifth_ends_it(frame: bytes) -> None:
    gate = FrameGate(CameraLimits())
    assert [gate.judge(frame, 0.0) for _ in range(5)] == [Verdict.NOT_JPEG] * 4 + [Verdict.INVALID_RUN]


def test_judge_when_a_good_frame_comes_between_then_the_run_begins_anew() -> None:
    gate = FrameGate(CameraLimits())
    verdicts = [gate.judge(frame, 0.0) for frame in [BAD] * 4 + [GOOD] + [BAD] * 4 + [GOOD] + [BAD] * 5]
    assert verdicts == (
        ([Verdict.NOT_JPEG] * 4 + [Verdict.ACCEPT]) * 2 + [Verdict.NOT_JPEG] * 4 + [Verdict.INVALID_RUN]
    )


def test_judge_when_the_good_frame_is_dropped_for_the_rate_then_it_still_ends_the_run() -> None:
    gate = FrameGate(CameraLimits(max_fps=1))
    assert gate.judge(GOOD, 0.0) is Verdict.ACCEPT
    assert [gate.judge(BAD, 0.0) for _ in range(4)] == [Verdict.NOT_JPEG] * 4
    assert gate.judge(GOOD, 0.0) is Verdict.DROP_FPS
    assert gate.judge(BAD, 0.0) is Verdict.NOT_JPEG


def test_judge_when_forty_come_at_once_then_fifteen_pass() -> None:
    gate = FrameGate(CameraLimits(max_fps=15))
    verdicts = [gate.judge(GOOD, 100.0) for _ in range(40)]
    assert verdicts == [Verdict.ACCEPT] * 15 + [Verdict.DROP_FPS] * 25


def test_judge_when_time_passes_then_the_bucket_refills_at_max_fps_up_to_its_size() -> None:
    gate = FrameGate(CameraLimits(max_fps=4))
    assert [gate.judge(GOOD, 0.0) for _ in range(5)] == [Verdict.ACCEPT] * 4 + [Verdict.DROP_FPS]
    assert [gate.judge(GOOD, 0.25) for _ in range(2)] == [Verdict.ACCEPT, Verdict.DROP_FPS]
    assert [gate.judge(GOOD, 3600.0) for _ in range(5)] == [Verdict.ACCEPT] * 4 + [Verdict.DROP_FPS]


def test_judge_when_the_bucket_is_full_before_the_first_frame_then_waiting_does_not_overfill_it() -> None:
    gate = FrameGate(CameraLimits(max_fps=2))
    assert [gate.judge(GOOD, 1e9) for _ in range(3)] == [Verdict.ACCEPT, Verdict.ACCEPT, Verdict.DROP_FPS]


def test_judge_when_frames_come_exactly_at_the_rate_then_none_is_lost() -> None:
    gate = FrameGate(CameraLimits(max_fps=10))
    assert {gate.judge(GOOD, 12345.678 + n / 10) for n in range(3000)} == {Verdict.ACCEPT}
