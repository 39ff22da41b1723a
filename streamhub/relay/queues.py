"""The bounded queue in front of every sink: a slow one loses pictures up to the next key frame, never the source."""

from __future__ import annotations

import threading
from collections import deque

import attrs

from streamhub.relay.units import Unit


@attrs.define(eq=False)
class UnitQueue:
    """Begins at a key frame if there are pictures; ``most_bytes`` and ``most_us`` of media at most wait in it.

    ``patient``: one piece of sound waits for the picture or the piece that follows it, so that the reader, and whoever
    reads behind it, is woken half as often.
    """

    pictures: bool
    most_bytes: int = 16 * 1024 * 1024
    most_us: int = 4_000_000
    patient: bool = False
    dropped: int = 0
    _units: deque[Unit] = attrs.field(factory=deque)
    _bytes: int = 0
    _begun: bool = False
    _wants_key: bool = attrs.field(init=False)
    _closed: bool = False
    _waiting: bool = False
    _changed: threading.Condition = attrs.field(factory=threading.Condition)

    def __attrs_post_init__(self) -> None:
        self._wants_key = self.pictures

    def put(self, unit: Unit) -> None:
        """Never waits."""
        with self._changed:
            if self._closed:
                return
            if self._wants_key:
                if unit.kind != "video" or not unit.key:
                    self.dropped += self._begun and unit.kind == "video"
                    return
                self._wants_key = False
            self._begun = True
            if self._units and (
                self._bytes + len(unit.data) > self.most_bytes or unit.dts - self._units[0].dts > self.most_us
            ):
                self._clear()
                if self.pictures and not (unit.kind == "video" and unit.key):
                    self.dropped += unit.kind == "video"
                    return
                self._wants_key = False
            self._units.append(unit)
            self._bytes += len(unit.data)
            if unit.kind == "video" or len(self._units) > 1 or not (self.patient and self.pictures):
                self._changed.notify()

    def _clear(self) -> None:
        self.dropped += sum(one.kind == "video" for one in self._units)
        self._units.clear()
        self._bytes = 0
        self._wants_key = self.pictures

    def skip_to_key(self) -> None:
        """Forget what waits, and go on at the next key frame."""
        with self._changed:
            self._clear()

    def get(self) -> Unit | None:
        """The next unit, waited for; None once closed and empty."""
        with self._changed:
            while not self._units:
                if self._closed:
                    return None
                self._waiting = True
                self._changed.wait()
                self._waiting = False
            unit = self._units.popleft()
            self._bytes -= len(unit.data)
            return unit

    def get_all(self) -> list[Unit]:
        """Everything there is, waited for; nothing once closed and empty."""
        first = self.get()
        if first is None:
            return []
        with self._changed:
            units = [first, *self._units]
            self._units.clear()
            self._bytes = 0
            return units

    @property
    def waited_for(self) -> bool:
        """Whether a reader waits now."""
        return self._waiting

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self, *, drain: bool) -> None:
        """Nothing more comes; ``drain``: what waits is still given out."""
        with self._changed:
            self._closed = True
            if not drain:
                self._units.clear()
            self._changed.notify_all()
