from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from streamhub.store.times import from_ms, to_ms


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the zone is given apart
def test_to_ms_then_back_is_the_same_to_the_millisecond(at: datetime) -> None:
    back = from_ms(to_ms(at))
    assert timedelta(0) <= at - back < timedelta(milliseconds=1)
    assert to_ms(back) == to_ms(at)


def test_to_ms_when_another_zone_then_the_same_moment() -> None:
    berlin = timezone(timedelta(hours=1))
    assert to_ms(datetime(2026, 1, 1, 1, tzinfo=berlin)) == to_ms(datetime(2026, 1, 1, tzinfo=UTC)) == 1767225600000


def test_from_ms_when_none_then_none() -> None:
    assert from_ms(None) is None
