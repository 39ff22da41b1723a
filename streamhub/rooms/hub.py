"""All rooms in memory: opened on demand, gone when nobody uses them, each in its own task.

A crash inside a room ends there: it is reported, and the next who comes opens the room anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import attrs
import trio

from streamhub.errors import StoreError, Unavailable
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.liveness import Liveness
from streamhub.model.names import AppName, RoomKey
from streamhub.model.streams import SERVER_STOPPING, EndOrder, Published, RoomStatus, State
from streamhub.observe.log import get_logger
from streamhub.rooms.demand import Demand
from streamhub.rooms.hls import RoomHls
from streamhub.rooms.hls_files import HlsFiles
from streamhub.rooms.room import Accompany, Emit, MakePlaceholder, Room

LAST_SEEN_DEADLINE_S = 5.0

log = get_logger("rooms")


@attrs.define
class Totals:
    """Counters that outlive rooms, for metrics."""

    frames: int = 0
    bytes: int = 0
    dropped: dict[str, int] = attrs.field(factory=dict)
    room_errors: int = 0

    def drop(self, reason: str, count: int = 1) -> None:
        """Count frames that were not published."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count


@attrs.define(eq=False)
class Hub:
    """The rooms. ``last_seen`` tells since when a room that was not in memory is offline (None: never seen).

    ``hls_files``: where their HLS is kept; None: they have none. ``accompany`` runs beside each camera;
    ``on_published`` hears of every change of LiveKit's publishers.
    """

    emit: Emit
    placeholder: MakePlaceholder
    last_seen: Callable[[RoomKey], Awaitable[datetime | None]]
    clock: WallClock = utc_now
    hls_files: HlsFiles | None = None
    accompany: Accompany | None = None
    on_published: Callable[[RoomKey, Published | None], None] = lambda _key, _published: None
    totals: Totals = attrs.field(factory=Totals)
    _rooms: dict[RoomKey, Room] = attrs.field(factory=dict)
    _published: dict[RoomKey, Published] = attrs.field(factory=dict)
    _onlookers: dict[RoomKey, int] = attrs.field(factory=dict)
    _nursery: trio.Nursery | None = None
    _closing: bool = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the rooms' nursery until cancelled, or ``shutdown`` has ended the last room."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._closing = True

    @asynccontextmanager
    async def lease(self, key: RoomKey, *, publishing: bool = False) -> AsyncIterator[Room]:
        """The room, open for the time of the block; raises Unavailable while the server stops."""
        room = await self.acquire(key, publishing=publishing)
        try:
            yield room
        finally:
            self.release(room)

    async def acquire(self, key: RoomKey, *, publishing: bool = False) -> Room:
        """As ``lease``, for a user that outlives the caller: it must call ``release`` once.

        Who comes to publish (``publishing``) does not wait for the database to tell since when the room is offline.
        """
        room = self._rooms.get(key)
        if room is None and not publishing:
            since = await self._look_up(key)
            room = self._rooms.get(key)  # somebody else may have opened it meanwhile
        else:
            since = None
        if self._closing or self._nursery is None:
            raise Unavailable("the server is stopping", code="stopping", retry_after_s=3)
        if room is None:
            room = Room(
                key,
                self.emit,
                self.clock,
                self.placeholder,
                self._room_error,
                Liveness(since=since),
                self._published.get(key),
                demand=Demand(onlookers=self._onlookers.get(key, 0)),
                accompany=self.accompany,
                hls=RoomHls(self.clock, self.hls_files),
            )
            self._rooms[key] = room
            self._nursery.start_soon(self._run_room, room, name=f"room {key}")
        room.users += 1
        try:
            await room.opened.wait()  # no deadline: it is set as soon as the room's task runs, or ends
        except trio.Cancelled:
            self.release(room)
            raise
        return room

    async def _look_up(self, key: RoomKey) -> datetime | None:
        try:
            with trio.fail_after(LAST_SEEN_DEADLINE_S):
                return await self.last_seen(key)
        except (trio.TooSlowError, StoreError) as exc:
            # Watching matters more than knowing since when there was nothing to see.
            log.warning("cannot look up since when a room is offline", app=key.app, room=key.room, exc_info=exc)
            return None

    def release(self, room: Room) -> None:
        """Give back a lease; the last one closes the room."""
        room.users -= 1
        if room.users == 0:
            if self._rooms.get(room.key) is room:
                del self._rooms[room.key]
            room.close()

    async def _run_room(self, room: Room) -> None:
        try:
            await room.run()
        except Exception as exc:  # the room boundary
            self._room_error(room.key, "room", exc)
        finally:
            if self._rooms.get(room.key) is room:
                del self._rooms[room.key]

    def _room_error(self, key: RoomKey, where: str, exc: Exception) -> None:
        self.totals.room_errors += 1
        log.error("room task failed", app=key.app, room=key.room, task=where, exc_info=exc)

    def publishing(self, key: RoomKey, published: Published | None) -> None:
        """LiveKit's publishers in the room have changed; None: there is none. Its viewers are told."""
        if published is None:
            self._published.pop(key, None)
        else:
            self._published[key] = published
        if (room := self._rooms.get(key)) is not None:
            room.publishing(published)
        self.on_published(key, published)

    def looking_on(self, key: RoomKey, onlookers: int) -> None:
        """So many are in LiveKit's room now who may watch what is in it."""
        if onlookers:
            self._onlookers[key] = onlookers
        else:
            self._onlookers.pop(key, None)
        if (room := self._rooms.get(key)) is not None:
            room.demand.look_on(onlookers)

    def expecting(self, key: RoomKey) -> None:
        """Somebody is about to enter LiveKit's room to watch."""
        if (room := self._rooms.get(key)) is not None:
            room.demand.want_livekit()

    # --- looking --------------------------------------------------------------------------------------------

    def get(self, key: RoomKey) -> Room | None:
        """The room if it is in memory."""
        return self._rooms.get(key)

    def shown(self, key: RoomKey) -> tuple[State, datetime | None]:
        """The room's state as everybody is told, and since when; the time is not looked up if it is not in memory."""
        if (room := self._rooms.get(key)) is not None:
            return room.shown
        published = self._published.get(key)
        return (State.OFFLINE, None) if published is None else (published.state, published.since)

    def status(self, key: RoomKey) -> RoomStatus | None:
        """A snapshot of one room; None if it is not in memory (then it is offline)."""
        room = self._rooms.get(key)
        return room.status() if room else None

    def statuses(self, app: AppName | None = None) -> list[RoomStatus]:
        """Snapshots of all rooms in memory, or of one app's."""
        return [r.status() for r in self._rooms.values() if app is None or r.key.app == app]

    def viewer_count(self, app: AppName) -> int:
        """How many viewers all rooms of the app have."""
        return sum(len(r.viewers) for r in self._rooms.values() if r.key.app == app)

    def camera_count(self, app: AppName) -> int:
        """How many sources the app's rooms have."""
        return sum(1 for r in self._rooms.values() if r.key.app == app and r.session is not None)

    def live_key_ids(self) -> set[str]:
        """The camera keys in use now."""
        return {r.session.key_id for r in self._rooms.values() if r.session and r.session.key_id}

    # --- ending ---------------------------------------------------------------------------------------------

    async def end_source(self, key: RoomKey, stream_id: str | None, order: EndOrder) -> bool:
        """Make the room's source leave; returns once it has. False if there is none (or another stream)."""
        room = self._rooms.get(key)
        session = room.session if room else None
        if session is None or (stream_id is not None and session.stream_id != stream_id):
            return False
        session.end(order)
        await session.ended.wait()
        return True

    async def end_key(self, key_id: str, order: EndOrder) -> bool:
        """Make the source that uses this key leave; False if none does."""
        for room in list(self._rooms.values()):
            if room.session is not None and room.session.key_id == key_id:
                return await self.end_source(room.key, None, order)
        return False

    async def end_app(self, app: AppName, order: EndOrder) -> None:
        """Make all sources and viewers of an app leave."""
        await self.end_viewers(app)
        for room in self._rooms.values():
            if room.key.app == app:
                room.hls.end()
        async with trio.open_nursery() as nursery:
            for room in list(self._rooms.values()):
                if room.key.app == app:
                    nursery.start_soon(self.end_source, room.key, None, order)

    async def end_viewers(self, app: AppName) -> None:
        """Make all viewers of an app leave, at once; they may come back and are then asked again."""
        for room in self._rooms.values():
            if room.key.app == app:
                for viewer in list(room.viewers):
                    viewer.dismiss("withdrawn")

    async def shutdown(self, grace_s: float) -> None:
        """Refuse new leases, ask every source to leave, and close every room after ``grace_s`` at the latest."""
        self._closing = True
        rooms = list(self._rooms.values())
        for room in rooms:
            for viewer in list(room.viewers):
                viewer.dismiss()
            if room.session is not None:
                room.session.end(SERVER_STOPPING)
        with trio.move_on_after(grace_s):
            for room in rooms:
                await room.closed.wait()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
