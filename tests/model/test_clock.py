from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from streamhub.model.clock import iso_ms, sqlite_time, utc_now

AT = datetime(2026, 11, 23, 1, 2, 3, 4_999, timezone(timedelta(hours=-5)))


def test_sqlite_time_when_given_any_zone_then_utc_without_one() -> None:
    assert sqlite_time(AT) == "2026-11-23 06:02:03"


def test_iso_ms_when_given_any_zone_then_utc_and_milliseconds_cut_not_rounded() -> None:
    assert iso_ms(AT) == "2026-11-23T06:02:03.004Z"


def test_utc_now_when_asked_then_it_has_a_zone_and_is_now() -> None:
    now = utc_now()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
