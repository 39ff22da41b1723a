"""Apps kept in memory for the questions that every camera, viewer and snapshot asks."""

from __future__ import annotations

import attrs

from streamhub.services.apps import App, from_row
from streamhub.store import apps as rows
from streamhub.store.db import Store


@attrs.define(eq=False)
class AppCache:
    """Apps by name, read once until ``forget`` is called.

    Who changes an app calls ``forget`` after the commit; what other processes change is noticed by the reconciler
    within a second. Unknown names are not kept: strangers could grow the memory with them.
    """

    store: Store
    _apps: dict[str, App] = attrs.field(factory=dict)
    _generation: int = 0

    async def find(self, name: str) -> App | None:
        """The app, or None."""
        if (known := self._apps.get(name)) is not None:
            return known
        generation = self._generation
        row = await self.store.read(rows.by_name, name)
        if row is None:
            return None
        app = from_row(row)
        if generation == self._generation:  # else it was read before a change: good for this answer only
            self._apps[name] = app
        return app

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._apps.clear()
        self._generation += 1
