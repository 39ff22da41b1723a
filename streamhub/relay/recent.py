"""What has come since the last key frame: a new sink begins with it instead of waiting for the next one."""

from __future__ import annotations

from typing import Final

import attrs

from streamhub.relay.plan import Plan
from streamhub.relay.queues import UnitQueue
from streamhub.relay.units import Unit

_MOST_BYTES: Final = 8 * 1024 * 1024


@attrs.define(eq=False)
class Recent:
    """Empty while a group of pictures is too large to be kept."""

    _units: list[Unit] = attrs.field(factory=list)
    _bytes: int = 0

    def add(self, unit: Unit) -> None:
        if unit.kind == "video" and unit.key:
            self._units, self._bytes = [unit], len(unit.data)
        elif self._units:
            self._units.append(unit)
            self._bytes += len(unit.data)
            if self._bytes > _MOST_BYTES:
                self.clear()

    def clear(self) -> None:
        self._units, self._bytes = [], 0

    def give(self, queue: UnitQueue, plan: Plan) -> None:
        """To a sink that copies pictures; encoded ones begin with a key frame of their own."""
        if plan.video != "copy":
            return
        for unit in self._units:
            if unit.kind == "video" or plan.audio != "none":
                queue.put(unit)
