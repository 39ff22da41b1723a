"""Wall-clock time: injected, so that tests choose it. Durations never use it (they use Trio's clock)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

WallClock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def sqlite_time(at: datetime) -> str:
    """``YYYY-MM-DD HH:MM:SS`` in UTC, no zone: the contract's form for stored rows (README §7)."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso_ms(at: datetime) -> str:
    """ISO 8601 with milliseconds and ``Z``: the contract's form for events and live values."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
