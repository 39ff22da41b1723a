"""Streams: stored rows merged with what their rooms are delivering now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

from streamhub.errors import NotFound
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.names import RoomKey, RoomName
from streamhub.model.streams import STREAM_DELETED, RoomStatus, SourceStatus, State, StreamEnded
from streamhub.services.apps import App, from_row
from streamhub.services.fields import Page, Paging
from streamhub.services.live import Applies, LiveRooms
from streamhub.store import apps as app_rows
from streamhub.store import streams as rows
from streamhub.store.db import Database, Store
from streamhub.store.streams import StreamRow


@attrs.frozen
class Stream:
    """A stream: its row, and while its room holds it the live part. ``viewers`` is by output."""

    row: StreamRow
    state: State
    since: datetime
    source: SourceStatus | None
    viewers: dict[str, int] | None

    @property
    def last_stats_json(self) -> str | None:
        """The device's own figures, the newest we have."""
        live = self.source.stats_json if self.source else None
        return live if live is not None else self.row.last_stats_json


@attrs.frozen
class RoomStats:
    """One live room: its viewers by output, its publishers, since when."""

    room: str
    state: State
    viewers: dict[str, int]
    publishers: int
    started_at: datetime


@attrs.frozen
class Streams:
    """The use cases of ``/apps/<app>/streams``. The caller has been authorised for the app given.

    ``find`` gives the room with a stream as its source, where a room has several; by default a room has one.
    """

    store: Store
    hub: LiveRooms
    ledger: Applies
    now: WallClock = utc_now
    find: Callable[[RoomKey, str], RoomStatus | None] | None = None

    async def page(self, app: App, paging: Paging) -> Page[Stream]:
        """The app's active streams, newest start first."""
        found, total = await self.store.read(rows.active_page, app.id, paging.limit, paging.offset)
        return Page([self._merged(app, row) for row in found], total, paging)

    async def get(self, app: App, stream_id: str) -> Stream:
        """The stream, active or ended; its room may be spelled short. Raises NotFound."""
        return self._merged(app, await self._row(app, stream_id))

    async def delete(self, app: App, stream_id: str) -> None:
        """The stream's source is disconnected and its row ended; of an ended one nothing changes. Raises NotFound."""
        row = await self._row(app, stream_id)
        key = RoomKey(app.name, RoomName(row.room))
        await self.hub.end_source(key, row.stream_id, STREAM_DELETED)
        # A row whose source is not in memory any more would stay active for ever.
        await self.ledger.apply(StreamEnded(key, row.stream_id, STREAM_DELETED.reason, self.now()))

    def rooms(self, app: App) -> list[RoomStats]:
        """What the app's rooms with a source are doing, by name."""
        found = [
            RoomStats(s.key.room, s.state, dict(s.viewers), 1, s.source.started_at)
            for s in self.hub.statuses(app.name)
            if s.source is not None
        ]
        return sorted(found, key=lambda r: r.room)

    async def public_rooms(self) -> list[RoomKey]:
        """Live rooms strangers may be shown: of apps with a public wall and public playback, by name."""
        shown = {r.name for r in await self.store.read(_walls)}
        keys = [s.key for s in self.hub.statuses() if s.source is not None and s.key.app in shown]
        return sorted(keys, key=str)

    async def _row(self, app: App, stream_id: str) -> StreamRow:
        if stream_id.isdecimal() and len(stream_id) <= 18:  # the row's own id
            row = await self.store.read(rows.by_id, app.id, int(stream_id))
            if row is not None:
                return row
        room, slash, identity = stream_id.partition("/")
        for spelled in (stream_id, f"{app.room(room).room}{slash}{identity}"):
            row = await self.store.read(rows.by_stream_id, app.id, spelled)
            if row is not None:
                return row
        raise NotFound(
            f"stream '{stream_id}' not found",
            code="stream_not_found",
            hint="GET /api/v1/apps/<app>/streams lists the active streams; an id is <room>/<identity>.",
        )

    def _merged(self, app: App, row: StreamRow) -> Stream:
        status = None
        if row.ended_at is None:
            key = RoomKey(app.name, RoomName(row.room))
            status = self.hub.status(key) if self.find is None else self.find(key, row.stream_id)
        if status is None or status.source is None or status.source.stream_id != row.stream_id:
            return Stream(row, State(row.state), row.state_since, None, None)
        return Stream(row, status.state, status.since or row.state_since, status.source, dict(status.viewers))


def _walls(db: Database) -> list[App]:
    apps = map(from_row, app_rows.all_rows(db))
    return [a for a in apps if a.features.public_wall and a.features.public_playback]
