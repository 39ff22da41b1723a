"""Rooms without sockets: what ``services.live.LiveRooms`` promises, over a dict."""

from __future__ import annotations

from datetime import datetime

import attrs
import trio

from streamhub.errors import Unavailable
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import EndOrder, Published, RoomStatus, SourceStatus, State, StreamType


@attrs.define
class Ears:
    """``services.live.HearsOfLiveKit``: keeps what it hears."""

    published: list[tuple[RoomKey, Published | None]] = attrs.field(factory=list)
    looked_on: list[tuple[RoomKey, int]] = attrs.field(factory=list)
    expected: list[RoomKey] = attrs.field(factory=list)

    def publishing(self, key: RoomKey, published: Published | None) -> None:
        self.published.append((key, published))

    def looking_on(self, key: RoomKey, onlookers: int) -> None:
        self.looked_on.append((key, onlookers))

    def expecting(self, key: RoomKey) -> None:
        self.expected.append(key)


@attrs.define
class FakeHub:
    """Rooms with a source each; ``orders`` keeps what was ended, by whom, why."""

    at: datetime
    rooms: dict[RoomKey, RoomStatus] = attrs.field(factory=dict)
    orders: list[tuple[str, EndOrder]] = attrs.field(factory=list)
    dismissed: list[AppName] = attrs.field(factory=list)
    held: dict[RoomKey, str] = attrs.field(factory=dict)
    playlists: set[RoomKey] = attrs.field(factory=set)

    def go_live(
        self,
        app: str,
        room: str,
        *,
        identity: str = "cam",
        key_id: str | None = None,
        viewers: int = 0,
        kind: StreamType = StreamType.WS_MJPEG,
    ) -> SourceStatus:
        key = RoomKey(AppName(app), RoomName(room))
        source = SourceStatus(
            stream_id=f"{room}/{identity}",
            type=kind,
            participant=identity,
            key_id=key_id,
            started_at=self.at,
            last_frame_at=self.at,
            fps=9.876,
            bitrate=1_500_000,
            width=640,
            height=480,
            codec="mjpeg",
            frames=42,
            dropped={},
            stats_json='{"rssi":-60}',
        )
        self.rooms[key] = RoomStatus(key, State.LIVE, self.at, source, {"mjpeg": viewers, "ws": 0})
        return source

    def status(self, key: RoomKey) -> RoomStatus | None:
        return self.rooms.get(key)

    def statuses(self, app: AppName | None = None) -> list[RoomStatus]:
        return [r for r in self.rooms.values() if app is None or r.key.app == app]

    def live_key_ids(self) -> set[str]:
        return {r.source.key_id for r in self.rooms.values() if r.source and r.source.key_id}

    async def end_source(self, key: RoomKey, stream_id: str | None, order: EndOrder) -> bool:
        await trio.lowlevel.checkpoint()
        status = self.rooms.get(key)
        if status is None or status.source is None or (stream_id is not None and status.source.stream_id != stream_id):
            return False
        self._end(status, order)
        return True

    async def end_key(self, key_id: str, order: EndOrder) -> bool:
        await trio.lowlevel.checkpoint()
        found = [r for r in self.rooms.values() if r.source and r.source.key_id == key_id]
        for status in found:
            self._end(status, order)
        return bool(found)

    async def end_viewers(self, app: AppName) -> None:
        await trio.lowlevel.checkpoint()
        self.dismissed.append(app)
        for status in self.statuses(app):
            self.rooms[status.key] = attrs.evolve(status, viewers=dict.fromkeys(status.viewers, 0))

    async def end_app(self, app: AppName, order: EndOrder) -> None:
        await trio.lowlevel.checkpoint()
        for status in self.statuses(app):
            self._end(status, order)

    async def hold(self, key: RoomKey) -> tuple[str, bool]:
        await trio.lowlevel.checkpoint()
        if key not in self.rooms:
            raise Unavailable("nobody publishes", code="room_offline")
        return self.held.setdefault(key, f"hls_{len(self.held)}"), key in self.playlists

    async def drop(self, key: RoomKey) -> str | None:
        await trio.lowlevel.checkpoint()
        return self.held.pop(key, None)

    def active(self, key: RoomKey) -> bool:
        return key in self.playlists

    def _end(self, status: RoomStatus, order: EndOrder) -> None:
        self.orders.append((str(status.key), order))
        del self.rooms[status.key]
