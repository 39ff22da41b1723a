"""The first moments of a publication: what came since the last key frame is sent again, for viewers who waited.

A media server tells its viewers of a track when the first of it has come, and takes a while to let them have it; the
key frame they need has passed by then, and an encoder gives the next one in its own time. libav does not tell of the
server's wish for one (RTCP PLI), and there would be nobody to pass it on to. So the pictures since the last key frame
are repeated a few times, soon after the beginning. Their times lie right behind the last picture's, a tick apart:
whoever has seen them decodes them again and shows none.
"""

from __future__ import annotations

from typing import Final

import attrs

from streamhub.relay.units import Unit

# After the connection: LiveKit's own client is there after 0.15 to 0.3 s, a browser later.
_AT_S: Final = (0.2, 0.4, 0.8)
_TICK: Final = 12  # µs; RTP's clock of 90 kHz has 11.1
_MOST: Final = 80  # so many ticks are less than the 1 ms that two pictures are apart (``timeline.py``)
_MOST_BYTES: Final = 512 * 1024


@attrs.define(eq=False)
class Opening:
    """``began``: ``time.monotonic()`` of the connection. Holds nothing any more when it is over."""

    began: float
    _units: list[Unit] = attrs.field(factory=list)
    _bytes: int = 0
    _repeated: int = 0

    def take(self, unit: Unit, now: float) -> list[Unit]:
        """What to send again, now that this has been sent."""
        if self._repeated == len(_AT_S) or unit.kind != "video":
            return []
        if unit.key:
            self._units, self._bytes = [], 0
        self._units.append(unit)
        self._bytes += len(unit.data)
        if now - self.began < _AT_S[self._repeated]:
            return []
        self._repeated = sum(now - self.began >= at for at in _AT_S)
        units = self._units
        if self._repeated == len(_AT_S):
            self._units = []
        if len(units) > _MOST or self._bytes > _MOST_BYTES or not units[0].key:
            return []
        return [attrs.evolve(one, pts=unit.pts + n * _TICK, dts=unit.dts + n * _TICK) for n, one in enumerate(units, 1)]
