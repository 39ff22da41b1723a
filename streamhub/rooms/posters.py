"""The last picture of each room that had one, with its time: what players show, dated, until there is a live one.

In memory only, and of all rooms together no more than so many bytes: those not renewed for longest go first.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

import attrs

from streamhub.model.names import AppName, RoomKey

MOST_BYTES = 64 * 1024 * 1024


@attrs.frozen
class Poster:
    """A picture that was live at ``taken_at``."""

    jpeg: bytes = attrs.field(repr=False)
    taken_at: datetime


@attrs.define(eq=False)
class Posters:
    """Posters outlive their rooms."""

    most_bytes: int = MOST_BYTES
    _kept: OrderedDict[RoomKey, Poster] = attrs.field(factory=OrderedDict)
    _bytes: int = 0

    def keep(self, key: RoomKey, poster: Poster) -> None:
        """From now on this is the room's."""
        self._drop(key)
        self._kept[key] = poster
        self._bytes += len(poster.jpeg)
        while self._bytes > self.most_bytes:
            self._drop(next(iter(self._kept)))

    def find(self, key: RoomKey) -> Poster | None:
        """The room's last picture, if it had one."""
        return self._kept.get(key)

    def forget_app(self, app: AppName) -> None:
        """The app is gone, and so are its pictures."""
        for key in [key for key in self._kept if key.app == app]:
            self._drop(key)

    def _drop(self, key: RoomKey) -> None:
        poster = self._kept.pop(key, None)
        if poster is not None:
            self._bytes -= len(poster.jpeg)
