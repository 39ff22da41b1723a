"""When media was taken, from RTP timestamps: sender reports put all tracks of a room on one clock (RFC 3550, 6.4.1).

Times are microseconds of the caller's clock, which only grows.
"""

from __future__ import annotations

from typing import Final

import attrs

_WRAP: Final = 1 << 32
_DEAD_BAND: Final = 20_000  # less than this is heard and seen by nobody
_LOST: Final = 10_000_000  # what is further off than this is another clock


def ntp_us(timestamp: int) -> int:
    """Microseconds of a 64 bit NTP timestamp."""
    return (timestamp >> 32) * 1_000_000 + ((timestamp & 0xFFFFFFFF) * 1_000_000 >> 32)


@attrs.define
class NtpClock:
    """The sender's wall clock on ours: set by the first report of any track, then the same for all."""

    _offset: int | None = None

    def here(self, ntp: int, now: int) -> int:
        """That time on our clock; ``now``: what it is taken for until a first report has set the clock."""
        if self._offset is None or abs(ntp + self._offset - now) > _LOST:
            self._offset = now - ntp  # the first, or their clock was set
        return ntp + self._offset


@attrs.define
class RtpClock:
    """Of one track. Until its first report, the first packet was taken when it came."""

    rate: int
    ntp: NtpClock
    _last: int | None = None  # without wraps
    _offset: int | None = None

    def at(self, timestamp: int, now: int) -> int:
        """When that was taken; ``now``: when it came."""
        self._last = self._unwrap(timestamp)
        raw = self._micro(self._last)
        if self._offset is None or abs(raw + self._offset - now) > _LOST:
            self._offset = now - raw
        return raw + self._offset

    def report(self, timestamp: int, ntp: int, now: int) -> None:
        """A sender report: that RTP timestamp is that NTP time (µs); ``now``: when it came."""
        raw = self._micro(self._unwrap(timestamp))
        # The first track that reports stays where it is, and the others are put beside it.
        offset = self.ntp.here(ntp, now if self._offset is None else raw + self._offset) - raw
        if self._offset is None or _DEAD_BAND < abs(offset - self._offset) < _LOST:
            self._offset = offset
        if self._last is None:
            self._last = timestamp

    def _micro(self, timestamp: int) -> int:
        return timestamp * 1_000_000 // self.rate

    def _unwrap(self, timestamp: int) -> int:
        if self._last is None:
            return timestamp
        ahead = (timestamp - self._last) % _WRAP
        return self._last + (ahead if ahead < _WRAP // 2 else ahead - _WRAP)
