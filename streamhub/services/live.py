"""What the services ask of the rooms in memory and of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from streamhub.errors import Unavailable
from streamhub.model.names import AppName, RoomKey
from streamhub.model.streams import EndOrder, Published, RoomStatus, StreamEvent


class LiveRooms(Protocol):
    """The rooms in memory; ``rooms.hub.Hub`` in the server."""

    def status(self, key: RoomKey) -> RoomStatus | None:
        """The room, or None if it is not in memory."""
        ...

    def statuses(self, app: AppName | None = None) -> list[RoomStatus]:
        """All rooms, or those of an app."""
        ...

    def live_key_ids(self) -> set[str]:
        """Ids of the camera keys in use."""
        ...

    async def end_source(self, key: RoomKey, stream_id: str | None, order: EndOrder) -> bool:
        """End the room's source (if it is that stream), and return after it has ended whether there was one."""
        ...

    async def end_key(self, key_id: str, order: EndOrder) -> bool:
        """End the camera that uses the key, and return whether there was one."""
        ...

    async def end_viewers(self, app: AppName) -> None:
        """Make all viewers of the app leave; they may come back and are then asked again."""
        ...

    async def end_app(self, app: AppName, order: EndOrder) -> None:
        """End all sources and viewers of the app."""
        ...


class Applies(Protocol):
    """The one way streams change; ``services.ledger.Ledger`` in the server."""

    async def apply(self, event: StreamEvent) -> object:
        """Return once the row change is committed."""
        ...


class HearsOfLiveKit(Protocol):
    """The rooms in memory, told what goes on in LiveKit's; ``rooms.hub.Hub`` in the server."""

    def publishing(self, key: RoomKey, published: Published | None) -> None:
        """Its publishers have changed; None: there is none."""
        ...

    def looking_on(self, key: RoomKey, onlookers: int) -> None:
        """So many are in it who may watch."""
        ...

    def expecting(self, key: RoomKey) -> None:
        """Somebody who may watch is about to enter it."""
        ...


@attrs.frozen
class NobodyHears:
    """A process without rooms."""

    def publishing(self, key: RoomKey, published: Published | None) -> None:
        """Nobody is told."""

    def looking_on(self, key: RoomKey, onlookers: int) -> None:
        """Nobody is told."""

    def expecting(self, key: RoomKey) -> None:
        """Nobody is told."""


@attrs.frozen
class AlsoTold:
    """The rooms in memory, and somebody else who hears that a publisher has come or gone."""

    rooms: HearsOfLiveKit
    published: Callable[[], None]

    def publishing(self, key: RoomKey, published: Published | None) -> None:
        """Both are told."""
        self.rooms.publishing(key, published)
        self.published()

    def looking_on(self, key: RoomKey, onlookers: int) -> None:
        """The rooms are told."""
        self.rooms.looking_on(key, onlookers)

    def expecting(self, key: RoomKey) -> None:
        """The rooms are told."""
        self.rooms.expecting(key)


class OrdersHls(Protocol):
    """HLS of the rooms in memory; ``rooms.hls_leases.HlsLeases`` in the server."""

    async def hold(self, key: RoomKey) -> tuple[str, bool]:
        """Have it made until ``drop``: the order's name, and whether it plays. Raises NotFound, Unavailable."""
        ...

    async def drop(self, key: RoomKey) -> str | None:
        """End the order and return its name; None: there was none."""
        ...

    def active(self, key: RoomKey) -> bool:
        """Whether there is a playlist."""
        ...


@attrs.frozen
class NoHls:
    """HLS in a process that makes none."""

    async def hold(self, key: RoomKey) -> tuple[str, bool]:
        """Raises Unavailable."""
        raise Unavailable(f"nobody makes HLS of room '{key.room}' here", code="room_offline")

    async def drop(self, key: RoomKey) -> str | None:
        """There is no order."""
        return None

    def active(self, key: RoomKey) -> bool:
        """There is no playlist."""
        return False


@attrs.frozen
class NoRooms:
    """The rooms of a process that serves none: the command line beside a server, or without one."""

    def status(self, key: RoomKey) -> RoomStatus | None:
        """Nothing is in memory."""
        return None

    def statuses(self, app: AppName | None = None) -> list[RoomStatus]:
        """Nothing is in memory."""
        return []

    def live_key_ids(self) -> set[str]:
        """None are in use here."""
        return set()

    async def end_source(self, key: RoomKey, stream_id: str | None, order: EndOrder) -> bool:
        """There is nothing to end; a running server notices by its reconcile loop."""
        return False

    async def end_key(self, key_id: str, order: EndOrder) -> bool:
        """There is nothing to end; a running server notices by its reconcile loop."""
        return False

    async def end_viewers(self, app: AppName) -> None:
        """There is nothing to end; a running server notices by its reconcile loop."""

    async def end_app(self, app: AppName, order: EndOrder) -> None:
        """There is nothing to end; a running server notices by its reconcile loop."""
