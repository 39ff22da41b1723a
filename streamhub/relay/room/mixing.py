"""Several people's sound made one: samples on one clock, added up, silence where nobody speaks.

Counts of samples at ``RATE``; sound is planar, left and right, as arrays of floats.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator
from operator import add
from typing import Final, TypeAlias

import attrs

from streamhub.relay.audio import RATE

Stereo: TypeAlias = tuple["array[float]", "array[float]"]
BLOCK: Final = 1024  # what AAC takes at a time
_OFF: Final = RATE // 25  # sound this near to the end of the last piece follows it
_LONGEST_GAP: Final = RATE
_STALLED: Final = 2 * RATE


def silence(samples: int) -> array[float]:
    """One channel of it."""
    return array("f", bytes(4 * samples))


@attrs.define
class _Voice:
    """What one person has said and nobody has heard yet; ``end``: where it ends."""

    end: int
    channels: Stereo = attrs.field(factory=lambda: (array("f"), array("f")))

    @property
    def start(self) -> int:
        return self.end - len(self.channels[0])

    def append(self, at: int, sound: Stereo) -> None:
        gap = at - self.end
        if abs(gap) > _OFF:
            if gap > _LONGEST_GAP:
                self.drop(len(self.channels[0]))
                self.end = at
            elif gap > 0:
                self._extend((silence(gap), silence(gap)))
            else:
                sound = (sound[0][-gap:], sound[1][-gap:])
        self._extend(sound)

    def drop(self, samples: int) -> None:
        for channel in self.channels:
            del channel[:samples]

    def _extend(self, sound: Stereo) -> None:
        for channel, more in zip(self.channels, sound, strict=True):
            channel.extend(more)
        self.end += len(sound[0])


@attrs.define
class Mixer:
    """``add`` what comes, ``take`` what is due."""

    _voices: dict[Hashable, _Voice] = attrs.field(factory=dict)
    _next: int | None = None

    def add(self, who: Hashable, at: int, sound: Stereo) -> None:
        """A piece of one person's sound, taken at sample ``at``. What is due already is lost."""
        if self._next is not None and at < self._next:
            late = self._next - at
            at, sound = self._next, (sound[0][late:], sound[1][late:])
        if not sound[0]:
            return
        voice = self._voices.get(who)
        if voice is None or (self._next is not None and voice.end < self._next):
            voice = self._voices[who] = _Voice(at)
        voice.append(at, sound)

    def remove(self, who: Hashable) -> None:
        """That one is not heard any more."""
        self._voices.pop(who, None)

    def take(self, until: int) -> Iterator[tuple[int, Stereo]]:
        """Blocks of ``BLOCK`` samples, with their first sample's count, up to that point."""
        if self._next is None or until - self._next > _STALLED:
            self._next = until - BLOCK
        while self._next + BLOCK <= until:
            yield self._next, self._mix(self._next)
            self._next += BLOCK

    def _mix(self, at: int) -> Stereo:
        mixed: Stereo | None = None
        for voice in self._voices.values():
            if voice.start < at:
                voice.drop(at - voice.start)
            before = voice.start - at
            if before >= BLOCK or not voice.channels[0]:
                continue
            part = (self._padded(voice.channels[0], before), self._padded(voice.channels[1], before))
            voice.drop(BLOCK - before)
            mixed = part if mixed is None else (_sum(mixed[0], part[0]), _sum(mixed[1], part[1]))
        return mixed or (silence(BLOCK), silence(BLOCK))

    def _padded(self, channel: array[float], before: int) -> array[float]:
        piece = channel[: BLOCK - before]
        if len(piece) == BLOCK:
            return piece
        return silence(before) + piece + silence(BLOCK - before - len(piece))


def _sum(one: array[float], other: array[float]) -> array[float]:
    return array("f", map(add, one, other))
