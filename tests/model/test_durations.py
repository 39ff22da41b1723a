from __future__ import annotations

import pytest

from streamhub.model.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        (1, 1),
        ("1s", 1),
        ("90m", 5400),
        ("1h", 3600),
        ("1.5h", 5400),
        ("2 days", 172_800),
        ("1 Hour", 3600),
        ("10 mins", 600),
        ("1w", 604_800),
        (" 5 m ", 300),
    ],
)
def test_duration_when_spelled_as_people_do_then_its_seconds(given: str | int, seconds: int) -> None:
    assert parse_duration(given) == seconds


@pytest.mark.parametrize(
    "given", ["", "h", "0", 0, -1, "-1h", "0.4s", "1 fortnight", "1h30m", "1h ago", "1e9", "٣h", "1" * 13, "nan"]
)
def test_duration_when_it_is_none_then_the_error_says_what_is(given: str | int) -> None:
    with pytest.raises(ValueError, match="2 days"):
        parse_duration(given)


@pytest.mark.parametrize(("seconds", "text"), [(1, "1s"), (90, "90s"), (5400, "90m"), (86_400, "1d"), (604_800, "1w")])
def test_format_then_the_largest_whole_unit(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text
    assert parse_duration(text) == seconds
