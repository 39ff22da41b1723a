"""Lengths of time as people write them: ``3600``, ``"1h"``, ``"2 days"``."""

from __future__ import annotations

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPELLED = re.compile(
    r"(\d{1,12}(?:\.\d{1,6})?) ?"
    r"(?:(s|secs?|seconds?)|(m|mins?|minutes?)|(h|hrs?|hours?)|(d|days?)|(w|weeks?))?",
    re.ASCII | re.IGNORECASE,
)
EXPECTED = 'expected a length of time such as 3600, "90m", "1h" or "2 days"'


def parse_duration(given: str | int) -> int:
    """Whole seconds, at least one; a number alone is seconds. Raises ValueError with what was expected."""
    match = _SPELLED.fullmatch(str(given).strip())
    if match is None:
        raise ValueError(EXPECTED)
    unit = next((name for name, word in zip(_UNITS, match.groups()[1:], strict=True) if word), "s")
    seconds = int(float(match[1]) * _UNITS[unit])
    if seconds < 1:
        raise ValueError(f"{EXPECTED}, one second or more")
    return seconds


def format_duration(seconds: int) -> str:
    """The length in its largest whole unit: ``24h`` is ``1d``."""
    unit, size = next((u, n) for u, n in reversed(_UNITS.items()) if seconds % n == 0)
    return f"{seconds // size}{unit}"
