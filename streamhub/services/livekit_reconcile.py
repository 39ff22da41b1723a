"""Streams follow LiveKit: what its API lists is the truth, webhooks only say where to look sooner.

Each webhook makes us list the room it is about; every five seconds all rooms are listed. So a webhook that is lost,
doubled, late or out of order changes nothing but how soon we know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

import attrs
import trio

from streamhub.errors import NotFound, StoreError, StreamHubError, Unavailable
from streamhub.livekit.participants import Kind, LiveRoom, Participant
from streamhub.livekit.tokens import VIEWER_ATTRIBUTE, LiveKitKeys
from streamhub.livekit.webhook import REPLAY_WINDOW_S, LiveKitEvent, receive_webhook
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import Activity
from streamhub.model.names import AppName, RoomKey
from streamhub.model.streams import (
    APP_DELETED,
    SERVER_STOPPING,
    EndOrder,
    Published,
    RoomStatus,
    SourceStatus,
    State,
    StreamChanged,
    StreamEnded,
    StreamType,
)
from streamhub.observe.log import get_logger
from streamhub.services.live import Applies, HearsOfLiveKit, NobodyHears
from streamhub.services.livekit_events import Publication, app_of, changes, onlookers, publications, viewers
from streamhub.store import apps as app_rows
from streamhub.store.db import Database, Store

PERIOD_S = 5.0
# LiveKit's own reconnecting clients come back within this time after it was restarted.
GIVE_UP_S = 60.0
REMEMBER_REMOVED_S = 30.0
AT_ONCE = 4
log = get_logger("livekit")


class RoomsApi(Protocol):
    """What is asked of LiveKit; ``livekit.client.LiveKitClient`` in the server."""

    async def rooms(self, names: tuple[str, ...] = ()) -> list[LiveRoom]:
        """All rooms. Raises Unavailable."""
        ...

    async def participants(self, room: str) -> list[Participant]:
        """Everybody in a room. Raises Unavailable."""
        ...

    async def remove_participant(self, room: str, identity: str) -> None:
        """Throw one out. Raises NotFound, Unavailable."""
        ...

    async def delete_room(self, room: str) -> None:
        """Throw all out. Raises NotFound, Unavailable."""
        ...


class KnowsIngresses(Protocol):
    """Who follows LiveKit's ingresses; ``ingest.livekit_ingress.IngressWatch`` in the server."""

    def look_soon(self) -> None:
        """Something happened to an ingress. Returns at once."""
        ...

    async def stream_types(self, room: str, people: Iterable[Participant]) -> dict[str, StreamType]:
        """The type of the streams that LiveKit's ingress service publishes there, by the participant's sid."""
        ...


async def no_relay(_ingress_id: str) -> None:
    """There are no relays."""


@attrs.define(eq=False)
class LiveKitWatch:
    """Owner of what we know about LiveKit's rooms. ``run`` is a task its owner must start.

    ``present`` says whether there is a LiveKit at all; without one nothing is asked and nothing complained about.
    Without ``ingresses`` all that LiveKit's ingress service publishes is taken for RTMP.
    ``live`` hears of every change of rooms' publishers and onlookers; ``figures`` knows the rates of relays,
    ``end_relay`` ends the relay of an ingress: one that only left LiveKit would come back.
    """

    api: RoomsApi
    keys: LiveKitKeys
    store: Store
    ledger: Applies
    now: WallClock = utc_now
    present: Callable[[], bool] = lambda: True
    ingresses: KnowsIngresses | None = None
    live: HearsOfLiveKit = attrs.field(factory=NobodyHears)
    figures: Callable[[str], Activity | None] = lambda _ingress_id: None
    end_relay: Callable[[str], Awaitable[None]] = no_relay
    _rooms: dict[RoomKey, dict[str, Publication]] = attrs.field(factory=dict)
    _people: dict[RoomKey, tuple[Participant, ...]] = attrs.field(factory=dict)
    _dirty: set[str] = attrs.field(factory=set)
    _wake: trio.Event = attrs.field(factory=trio.Event)
    _seen: dict[str, float] = attrs.field(factory=dict)
    _removed: dict[str, float] = attrs.field(factory=dict)
    _lost_at: float | None = None
    _stopped: bool = False
    # One change of what we know, and of the rows with it, at a time.
    _lock: trio.Lock = attrs.field(factory=trio.Lock)

    def receive(self, body: bytes, authorization: str | None) -> LiveKitEvent:
        """The event of a webhook, taken note of. Raises Unauthorized, BadRequest."""
        event = receive_webhook(body, authorization, self.keys, self.now())
        now = trio.current_time()
        while self._seen and next(iter(self._seen.values())) <= now:  # the oldest comes first
            del self._seen[next(iter(self._seen))]
        if event.id not in self._seen:
            self._seen[event.id] = now + REPLAY_WINDOW_S
            if event.may_change_streams and event.room is not None:
                self.look_at(event.room)
            if event.about_ingress and self.ingresses is not None:
                self.ingresses.look_soon()
        return event

    def look_at(self, room: str) -> None:
        """List that room now; it is one of LiveKit's names. Returns at once."""
        self._dirty.add(room)
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled. A LiveKit that cannot be asked makes its streams stale, then ends them."""
        due = trio.current_time()
        while True:
            with trio.move_on_at(due):
                await self._wake.wait()
            self._wake = trio.Event()
            dirty, self._dirty = self._dirty, set()
            try:
                if trio.current_time() >= due:
                    due = trio.current_time() + PERIOD_S
                    await self.reconcile()
                elif self.present():
                    await self._look(dirty, await self.store.read(_apps))
            except Unavailable as exc:
                await self._lost(exc)
            except StreamHubError as exc:
                log.warning("cannot follow LiveKit's rooms", error=exc.message, hint=exc.hint)

    async def reconcile(self) -> None:
        """List everything and make the rows say the same. Raises Unavailable, StoreError."""
        if not self.present():
            return
        apps = await self.store.read(_apps)
        listed = [r.name for r in await self.api.rooms()]
        known = [key.room for key in self._rooms]
        await self._look({*listed, *known}, apps)
        for app in {key.app for key in {*self._rooms, *self._people}} - set(apps):
            await self.end_app(app, APP_DELETED)
        self._lost_at = None
        now = trio.current_time()
        self._removed = {sid: until for sid, until in self._removed.items() if until > now}

    def status(self, key: RoomKey) -> RoomStatus | None:
        """The room as LiveKit has it; None if it is not there."""
        people, found = self._people.get(key, ()), self._rooms.get(key, {})
        if not people and not found:
            return None
        first = min(found.values(), key=lambda p: p.since, default=None)
        state = State.OFFLINE if first is None else State.STALE if first.stale else State.LIVE
        return RoomStatus(
            key,
            state,
            first.since if first else None,
            self._source(first) if first else None,
            {"webrtc": viewers(people)},
        )

    def _source(self, one: Publication) -> SourceStatus:
        return one.source(None if one.ingress_id is None else self.figures(one.ingress_id))

    def source_status(self, key: RoomKey, stream_id: str) -> RoomStatus | None:
        """The room with that stream as its source; None if LiveKit does not have it."""
        status, one = self.status(key), self._rooms.get(key, {}).get(stream_id)
        return attrs.evolve(status, source=self._source(one)) if status is not None and one is not None else None

    def statuses(self, app: AppName | None = None) -> list[RoomStatus]:
        """All rooms somebody is in, or those of an app."""
        keys = {*self._people, *self._rooms}
        return [s for k in keys if app in (None, k.app) and (s := self.status(k)) is not None]

    async def end_source(self, key: RoomKey, stream_id: str | None, order: EndOrder) -> bool:
        """Throw the publishers out of a room (or that one), and return whether there was any. Raises Unavailable."""
        found = [p for i, p in self._rooms.get(key, {}).items() if stream_id in (None, i)]
        for one in found:
            if one.ingress_id is not None:
                await self.end_relay(one.ingress_id)
            await self._remove(key, one.participant)
        async with self._lock:
            for one in found:
                await self._forget(one, order.reason)
        return bool(found)

    async def end_app(self, app: AppName, order: EndOrder) -> None:
        """Nobody is left in the app's rooms. Raises Unavailable."""
        if self.ingresses is not None:
            self.ingresses.look_soon()
        for key in [k for k in {*self._people, *self._rooms} if k.app == app]:
            for participant in self._people.get(key, ()):
                self._removed[participant.sid] = trio.current_time() + REMEMBER_REMOVED_S
            try:
                await self.api.delete_room(key.room)
            except NotFound:
                pass
            async with self._lock:
                for one in list(self._rooms.get(key, {}).values()):
                    await self._forget(one, order.reason)
                self._meet(key, ())

    async def end_viewers(self, app: AppName) -> None:
        """Those who came in because the app was public leave. Raises Unavailable."""
        for key, people in list(self._people.items()):
            if key.app == app:
                await self._remove_public(key, people)

    async def stop(self) -> None:
        """We stop: every stream has ended in our books, and nothing is taken note of any more."""
        self._stopped = True
        try:
            await self._end_all(SERVER_STOPPING.reason)
        except StoreError as exc:
            log.warning("cannot follow LiveKit's rooms", error=exc.message, hint=exc.hint)

    async def _end_all(self, reason: str) -> None:
        async with self._lock:
            for found in list(self._rooms.values()):
                for one in list(found.values()):
                    await self._forget(one, reason)
            for key in list(self._people):
                self._meet(key, ())

    async def _look(self, rooms: Iterable[str], apps: Mapping[str, tuple[str, bool]]) -> None:
        limiter = trio.CapacityLimiter(AT_ONCE)
        failed: list[StreamHubError] = []
        prefixes = {name: prefix for name, (prefix, _) in apps.items()}

        async def one(key: RoomKey) -> None:
            async with limiter:
                try:
                    people = await self.api.participants(key.room)
                    await self._saw(key, people, await self._ingress_types(key, people))
                    if not apps[key.app][1]:
                        await self._remove_public(key, people)
                except StreamHubError as exc:
                    failed.append(exc)

        async with trio.open_nursery() as looks:
            for room in sorted(rooms):
                if (key := app_of(room, prefixes)) is not None:
                    looks.start_soon(one, key)
        if failed:
            # LiveKit being away explains the others.
            raise next((f for f in failed if isinstance(f, Unavailable)), failed[0])

    async def _ingress_types(self, key: RoomKey, people: Iterable[Participant]) -> dict[str, StreamType]:
        """By sid. A publication keeps the type it began with, whatever is known of its ingress later."""
        types = {p.participant.sid: p.type for p in self._rooms.get(key, {}).values()}
        new = [p for p in people if p.kind is Kind.INGRESS and p.publishes and p.sid not in types]
        if new and self.ingresses is not None:
            types |= await self.ingresses.stream_types(key.room, new)
        return types

    async def _saw(self, key: RoomKey, people: Iterable[Participant], types: Mapping[str, StreamType]) -> None:
        async with self._lock:
            # Somebody thrown out may be listed for a moment still.
            here = () if self._stopped else tuple(p for p in people if p.sid not in self._removed)
            at = self.now()
            before = self._rooms.get(key, {})
            after = publications(key, here, at, types)
            for stream_id, new in after.items():
                old = before.get(stream_id)
                if old is not None and old.type is new.type:
                    after[stream_id] = attrs.evolve(new, since=old.since)
            for event in changes(before, after, at):
                await self.ledger.apply(event)
            # Only now: what could not be written is found again by the next look.
            self._know(key, after)
            self._meet(key, here)

    def _meet(self, key: RoomKey, people: tuple[Participant, ...]) -> None:
        self._people.pop(key, None)
        if people:
            self._people[key] = people
        self.live.looking_on(key, onlookers(people))

    async def _forget(self, one: Publication, reason: str) -> None:
        await self.ledger.apply(StreamEnded(one.room, one.stream_id, reason, self.now()))
        self._know(one.room, {i: p for i, p in self._rooms.get(one.room, {}).items() if i != one.stream_id})

    def _know(self, key: RoomKey, found: dict[str, Publication]) -> None:
        self._rooms.pop(key, None)
        if found:
            self._rooms[key] = found
        status = self.status(key) if found else None
        native = sum(1 for one in found.values() if one.native)
        known = Published(status.state, status.since, len(found), native) if status and status.since else None
        self.live.publishing(key, known)

    async def _remove(self, key: RoomKey, participant: Participant) -> None:
        self._removed[participant.sid] = trio.current_time() + REMEMBER_REMOVED_S
        try:
            await self.api.remove_participant(key.room, participant.identity)
        except NotFound:
            pass
        except Unavailable:
            del self._removed[participant.sid]
            raise

    async def _remove_public(self, key: RoomKey, people: Iterable[Participant]) -> None:
        for participant in people:
            if VIEWER_ATTRIBUTE in participant.attributes:
                await self._remove(key, participant)

    async def _lost(self, exc: Unavailable) -> None:
        """LiveKit cannot be asked: what we knew is stale at once, and over when that lasts."""
        now = trio.current_time()
        if self._lost_at is None:
            self._lost_at = now
            log.info("cannot ask LiveKit about its rooms", error=exc.message)
        try:
            if now - self._lost_at >= GIVE_UP_S:
                await self._end_all("livekit_unreachable")
                return
            async with self._lock:
                for key, found in list(self._rooms.items()):
                    for one in found.values():
                        if not one.stale:
                            await self.ledger.apply(StreamChanged(key, one.stream_id, State.STALE, self.now()))
                    self._know(key, {i: attrs.evolve(p, stale=True) for i, p in found.items()})
        except StoreError as error:
            log.warning("cannot follow LiveKit's rooms", error=error.message, hint=error.hint)


def report_watch(exc: Exception) -> None:
    """Log why the watch ended; it is run again."""
    log.error("following LiveKit's rooms failed; it starts again", exc_info=exc)


def _apps(db: Database) -> dict[str, tuple[str, bool]]:
    """Room prefix of every app, and whether its playback is public, by name."""
    private = app_rows.private_names(db)
    return {name: (prefix, name not in private) for name, prefix in app_rows.prefixes(db).items()}
