"""Apps kept in memory for the questions that every camera, viewer and snapshot asks."""

from __future__ import annotations

import attrs
import trio

from streamhub.services.apps import App, from_row
from streamhub.store import apps as rows
from streamhub.store.db import Store


@attrs.define(eq=False)
class _Reading:
    """A read that others who ask meanwhile wait for. ``ok`` is False if it was cancelled or failed."""

    done: trio.Event = attrs.field(factory=trio.Event)
    ok: bool = False
    app: App | None = None


@attrs.define(eq=False)
class AppCache:
    """Apps by name, read once until ``forget`` is called; a thousand who ask at once cost one read.

    Who changes an app calls ``forget`` after the commit; what other processes change is noticed by the reconciler
    within a second. Unknown names are not kept: strangers could grow the memory with them.
    """

    store: Store
    _apps: dict[str, App] = attrs.field(factory=dict)
    _readings: dict[str, _Reading] = attrs.field(factory=dict)

    def known(self, name: str) -> App | None:
        """The app, if it has been read."""
        return self._apps.get(name)

    async def find(self, name: str) -> App | None:
        """The app, or None."""
        while (known := self._apps.get(name)) is None:
            reading = self._readings.get(name)
            if reading is None:
                return await self._read(name)
            await reading.done.wait()
            if reading.ok:
                return reading.app
        return known

    async def _read(self, name: str) -> App | None:
        reading = self._readings[name] = _Reading()
        try:
            row = await self.store.read(rows.by_name, name)
            reading.ok, reading.app = True, None if row is None else from_row(row)
            if reading.app is not None and self._readings.get(name) is reading:
                self._apps[name] = reading.app
        finally:
            if self._readings.get(name) is reading:
                del self._readings[name]
            reading.done.set()
        return reading.app

    def forget(self) -> None:
        """Read everything anew from now on; what is being read now answers only those who wait for it already."""
        self._apps.clear()
        self._readings.clear()
