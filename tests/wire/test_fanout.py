from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.wire.fanout import (
    MOST_BYTES,
    REASONS,
    BadFanoutMessage,
    Beat,
    Ended,
    Forget,
    Seat,
    Show,
    format_message,
    parse_message,
)

NUMBER = st.integers(0, 2**64 - 1)
SECONDS = st.floats(0, 1e6)
MESSAGES = st.one_of(
    st.builds(Seat, NUMBER, NUMBER, SECONDS, st.binary(max_size=MOST_BYTES - 25)),
    st.builds(Show, NUMBER, NUMBER),
    st.builds(Forget, NUMBER),
    st.builds(Ended, NUMBER, st.sampled_from(REASONS)),
    st.builds(Beat, NUMBER, NUMBER, SECONDS),
)


@given(MESSAGES)
def test_message_comes_out_as_it_went_in(message: Any) -> None:
    packet = format_message(message)
    assert len(packet) <= MOST_BYTES
    assert parse_message(packet) == message


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_refused(packet: bytes) -> None:
    try:
        message = parse_message(packet)
    except BadFanoutMessage:
        return
    assert format_message(message) == packet


@given(MESSAGES.filter(lambda m: not isinstance(m, Seat)), st.integers(-8, 8).filter(bool))
def test_message_of_another_length_is_refused(message: Any, by: int) -> None:
    packet = format_message(message)
    with pytest.raises(BadFanoutMessage):
        parse_message(packet[:by] if by < 0 else packet + bytes(by))


def test_seat_with_a_head_that_does_not_fit_is_not_made() -> None:
    with pytest.raises(ValueError, match="too long"):
        format_message(Seat(1, 1, 0.0, bytes(MOST_BYTES)))


@pytest.mark.parametrize("interval_s", [math.nan, math.inf, -1.0])
def test_seat_with_an_interval_that_is_none_is_refused(interval_s: float) -> None:
    with pytest.raises(BadFanoutMessage, match="interval"):
        parse_message(format_message(Seat(1, 1, interval_s, b"")))
