"""The side of a viewer that is told nothing but the head of its answer, and has nothing to say: MJPEG."""

from __future__ import annotations

import math

import attrs

# A viewer has nothing to say; one that talks this much is no viewer.
MOST_INPUT_BYTES = 65536


@attrs.define
class Silent:
    """The head of the answer, then nothing. See ``viewer.Side``."""

    head: bytes
    _input: int = 0

    def received(self, data: bytes) -> bool:
        self._input += len(data)
        return bool(data) and self._input <= MOST_INPUT_BYTES

    def pending(self) -> bytes:
        head, self.head = self.head, b""
        return head

    def next_at(self) -> float:
        return math.inf

    def alive(self) -> bool:
        return True
