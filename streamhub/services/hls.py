"""HLS by order: made until it is told to stop, whether anybody watches or not."""

from __future__ import annotations

import attrs

from streamhub.model.names import RoomKey, RoomName
from streamhub.services.apps import App
from streamhub.services.live import OrdersHls
from streamhub.services.streams import Streams


@attrs.frozen
class HlsState:
    """HLS of a stream's room: the order for it, if there is one, and whether there is a playlist to show."""

    key: RoomKey
    order: str | None
    active: bool


@attrs.frozen
class Hls:
    """The use cases of ``/apps/<app>/streams/<id>/hls``. All raise NotFound for an unknown stream."""

    streams: Streams
    rooms: OrdersHls

    async def start(self, app: App, stream_id: str) -> HlsState:
        """Make HLS of the stream's room from now on. Raises Unavailable (nobody is live), NotFound (no HLS of it)."""
        key = await self._key(app, stream_id)
        order, active = await self.rooms.hold(key)
        return HlsState(key, order, active)

    async def stop(self, app: App, stream_id: str) -> HlsState:
        """End the order, and tell which it was. It goes on for those who watch, and ends after them."""
        key = await self._key(app, stream_id)
        order = await self.rooms.drop(key)
        return HlsState(key, order, self.rooms.active(key))

    async def status(self, app: App, stream_id: str) -> HlsState:
        """Whether there is a playlist now."""
        key = await self._key(app, stream_id)
        return HlsState(key, None, self.rooms.active(key))

    async def _key(self, app: App, stream_id: str) -> RoomKey:
        return RoomKey(app.name, RoomName((await self.streams.get(app, stream_id)).row.room))
