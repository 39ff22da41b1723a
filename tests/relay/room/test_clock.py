"""RTP timestamps on one clock: by arrival first, then by sender reports."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamhub.relay.room.clock import NtpClock, RtpClock, ntp_us

WRAP = 1 << 32


def test_ntp_then_microseconds() -> None:
    assert ntp_us(0) == 0
    assert ntp_us(3 << 32 | 1 << 31) == 3_500_000


def test_first_packet_then_it_was_taken_when_it_came_and_the_next_by_its_timestamp() -> None:
    clock = RtpClock(90_000, NtpClock())
    assert clock.at(1000, now=5_000_000) == 5_000_000
    assert clock.at(1000 + 90_000, now=6_300_000) == 6_000_000


def test_reports_of_two_tracks_then_what_was_taken_together_is_together() -> None:
    ntp = NtpClock()
    video, audio = RtpClock(90_000, ntp), RtpClock(48_000, ntp)
    # The picture was sent 250 ms later than the sound that belongs to it.
    assert video.at(900_000, now=10_250_000) == 10_250_000
    assert audio.at(480_000, now=10_000_000) == 10_000_000
    ntp_now = 77_000_000
    video.report(900_000 + 90_000, ntp_now, now=11_000_000)
    audio.report(480_000 + 48_000, ntp_now, now=11_010_000)
    assert video.at(900_000, now=11_000_000) == audio.at(480_000, now=11_000_000) == 10_250_000


def test_reports_that_differ_by_nothing_to_hear_then_nothing_jumps() -> None:
    clock = RtpClock(48_000, NtpClock())
    clock.at(0, now=1_000_000)
    clock.report(48_000, 50_000_000, now=2_000_000)
    clock.report(96_000, 51_005_000, now=3_000_000)
    assert clock.at(96_000, now=3_000_000) == 3_000_000


def test_timestamps_of_another_clock_then_they_begin_anew_where_they_come() -> None:
    clock = RtpClock(90_000, NtpClock())
    clock.at(0, now=1_000_000)
    assert clock.at(1_000_000_000, now=1_040_000) == 1_040_000


def test_their_wall_clock_is_set_then_the_tracks_stay_where_they_are() -> None:
    ntp = NtpClock()
    clock = RtpClock(90_000, ntp)
    clock.at(0, now=1_000_000)
    clock.report(0, 10_000_000, now=1_000_000)
    clock.report(90_000, 500_000_000, now=2_000_000)
    assert clock.at(90_000, now=2_000_000) == 2_000_000


@given(first=st.integers(0, WRAP - 1), steps=st.lists(st.integers(0, 90_000 * 5), max_size=200))
def test_timestamps_that_wrap_then_time_goes_on(first: int, steps: list[int]) -> None:
    clock, at = RtpClock(90_000, NtpClock()), first
    assert clock.at(at, now=0) == 0
    for step in steps:
        at += step
        due = (at - first) * 1_000_000 // 90_000
        assert abs(clock.at(at % WRAP, now=due) - due) <= 1


@given(
    late=st.lists(st.integers(0, 400_000), min_size=1, max_size=50),
    ntp=st.integers(0, 1 << 50),
)
def test_packets_that_come_late_then_their_times_are_as_even_as_their_timestamps(late: list[int], ntp: int) -> None:
    clock = RtpClock(48_000, NtpClock())
    clock.at(0, now=late[0])
    clock.report(0, ntp, now=late[0])
    times = [clock.at(960 * n, now=20_000 * n + wait) for n, wait in enumerate(late)]
    assert all(b - a == 20_000 for a, b in pairwise(times))
