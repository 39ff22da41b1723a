"""The rooms of cameras and those of LiveKit as one: what is listed, ended or deleted is so in both."""

from __future__ import annotations

import attrs
import trio

from streamhub.errors import StreamHubError
from streamhub.model.names import AppName, RoomKey
from streamhub.model.streams import EndOrder, RoomStatus
from streamhub.observe.log import get_logger
from streamhub.services.live import LiveRooms
from streamhub.services.livekit_reconcile import LiveKitWatch

log = get_logger("livekit")


@attrs.frozen
class AllRooms:
    """``services.live.LiveRooms`` over both. A room's camera is its source, before publishers in LiveKit."""

    hub: LiveRooms
    watch: LiveKitWatch

    def status(self, key: RoomKey) -> RoomStatus | None:
        """The room, or None if nobody is in it."""
        return _merged(self.hub.status(key), self.watch.status(key))

    def stream_status(self, key: RoomKey, stream_id: str) -> RoomStatus | None:
        """The room with that stream as its source; None if neither knows the stream."""
        status = self.hub.status(key)
        if status is not None and status.source is not None and status.source.stream_id == stream_id:
            return _merged(status, self.watch.status(key))
        return _merged(self.watch.source_status(key, stream_id), status)

    def statuses(self, app: AppName | None = None) -> list[RoomStatus]:
        """All rooms, or those of an app."""
        found = {s.key: s for s in self.hub.statuses(app)}
        for status in self.watch.statuses(app):
            merged = _merged(found.get(status.key), status)
            if merged is not None:
                found[status.key] = merged
        return list(found.values())

    def live_key_ids(self) -> set[str]:
        """Ids of the camera keys in use."""
        return self.hub.live_key_ids()

    async def end_source(self, key: RoomKey, stream_id: str | None, order: EndOrder) -> bool:
        """End the room's source (if it is that stream) here and there. Raises Unavailable if LiveKit cannot be told."""
        here = await self.hub.end_source(key, stream_id, order)
        there = await self.watch.end_source(key, stream_id, order)
        return here or there

    async def end_key(self, key_id: str, order: EndOrder) -> bool:
        """End the camera that uses the key."""
        return await self.hub.end_key(key_id, order)

    async def end_viewers(self, app: AppName) -> None:
        """Make all viewers of the app leave; a LiveKit that cannot be told now is told by the next look."""
        async with trio.open_nursery() as both:
            both.start_soon(self.hub.end_viewers, app)
            both.start_soon(self._viewers_there, app)

    async def end_app(self, app: AppName, order: EndOrder) -> None:
        """End all sources and viewers of the app; a LiveKit that cannot be told keeps its rooms (logged)."""
        await self.hub.end_app(app, order)
        try:
            await self.watch.end_app(app, order)
        except StreamHubError as exc:
            log.warning("LiveKit's rooms of a deleted app stay", app=app, error=exc.message)

    async def _viewers_there(self, app: AppName) -> None:
        try:
            await self.watch.end_viewers(app)
        except StreamHubError as exc:
            log.warning("viewers in LiveKit's rooms stay for now", app=app, error=exc.message)


def _merged(one: RoomStatus | None, other: RoomStatus | None) -> RoomStatus | None:
    """The first that has a source, with the viewers of both."""
    if one is None or other is None:
        return one or other
    first, second = (other, one) if one.source is None and other.source is not None else (one, other)
    return attrs.evolve(first, viewers={**second.viewers, **first.viewers})
