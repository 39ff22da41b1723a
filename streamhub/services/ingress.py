"""Ingresses: sources that publish into a room, by a stream key of their own or pulled.

WHIP and RTMP are taken in, and sources pulled, by ourselves; with STREAMHUB_INGRESS=livekit new ones are LiveKit's, all
but RTSP. A row keeps the way it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import attrs

from streamhub.errors import Conflict, FieldProblem, StreamHubError, Unavailable
from streamhub.livekit.ingresses import IngressWish, LiveIngress
from streamhub.livekit.participants import Participant
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import Activity, IngressState, InputType
from streamhub.model.names import RoomKey, RoomName
from streamhub.model.relays import Probe
from streamhub.model.source_url import SourceUrl, parse_source_url
from streamhub.model.urls import with_rtmp_app
from streamhub.services import ingress_rows
from streamhub.services.apps import App
from streamhub.services.fields import Page, Paging, Unset
from streamhub.services.finishing import finish
from streamhub.services.ingress_values import (
    RTMP_PORT,
    Ingress,
    IngressPatch,
    IngressQuery,
    IssuedIngress,
    NewIngress,
)
from streamhub.services.livekit_ingress import LiveKitIngresses, refused_there
from streamhub.services.pulls import (
    SCHEMES,
    may_be_opened,
    options_of,
    refuse,
    refused_change,
    refused_here,
    unstored,
    with_options,
    with_source,
)
from streamhub.services.relay_sources import RelaySources
from streamhub.services.sealing import new_stream_key
from streamhub.services.whip_sessions import WhipSessions
from streamhub.store import ingress as rows
from streamhub.store.db import Database, Store
from streamhub.store.ingress import IngressRow
from streamhub.store.whip_sessions import SessionRow

Completes: TypeAlias = Callable[[IngressRow], IngressRow]
# For a request that is cancelled: LiveKit answers in milliseconds, and a server that stops has five seconds in all.
GRACE_S = 2.0


@attrs.frozen
class Ingresses:
    """The use cases of ``/apps/<app>/ingress``. The caller has been authorised for the app given."""

    store: Store
    sessions: WhipSessions
    relays: RelaySources
    now: WallClock = utc_now
    livekit: LiveKitIngresses | None = None

    async def create(self, app: App, new: NewIngress) -> IssuedIngress:
        """An ingress for a room. Raises Invalid, Conflict (identity or stream key in use), Unavailable."""
        if self.livekit is not None and self.livekit.chosen and new.input_type is not InputType.RTSP:
            refuse(refused_there(new))
            return await self._create_there(self.livekit, app, new)
        refuse(refused_here(new))
        if new.input_type is InputType.RTMP and self.relays.rtmp_port is None:
            raise Unavailable(
                "this server takes no RTMP: it is switched off, or its port was taken at the start",
                code="rtmp_off",
                hint="Set STREAMHUB_RTMP_BIND to a free address and start again.",
            )
        if new.input_type.pulled:
            secret, more = None, self._pulling(new, await self._source(new))
        else:
            secret, more = new.stream_key or new_stream_key(), _as_it_is
        row = await self.store.write(ingress_rows.insert, app, new, self.now(), secret, more)
        if new.input_type.pulled:
            self.relays.changed()
        return IssuedIngress(self._shown(app, row), secret)

    async def page(self, app: App, query: IngressQuery) -> Page[Ingress]:
        """The app's ingresses, newest first."""
        room = None if query.room is None else app.room(query.room).room
        found, total, sessions = await self.store.read(ingress_rows.page, app.id, room, query)
        live = await self.sessions.look(sessions.values())
        shown = [self._shown(app, row, sessions.get(row.id), live.get(row.id)) for row in found]
        return Page(shown, total, Paging(query.limit, query.offset))

    async def get(self, app: App, ingress_id: str) -> Ingress:
        """The ingress. Raises NotFound."""
        row, session = await self.store.read(ingress_rows.with_session, app.id, ingress_id)
        live = await self.sessions.look([session] if session else [])
        return self._shown(app, row, session, live.get(ingress_id))

    async def patch(self, app: App, ingress_id: str, patch: IngressPatch) -> Ingress:
        """The ingress after the change; switched off, its source is cut off. Raises NotFound, Conflict, Invalid."""
        more: Completes = _as_it_is
        if not isinstance(patch.url, Unset):
            row = await self.store.read(ingress_rows.get, app.id, ingress_id)
            refuse(refused_change(row, patch))
            url = parse_source_url(patch.url, SCHEMES[InputType(row.input_type)])
            await may_be_opened(self.relays.outbound, url)
            more = partial(with_source, url=url, box=self.relays.box)
        before, after = await self.store.write(ingress_rows.change, app.id, ingress_id, patch, more)
        if after != before:
            await self._follow(after, ended=not after.enabled)
        return await self.get(app, ingress_id)

    async def rotate(self, app: App, ingress_id: str) -> IssuedIngress:
        """The ingress with a new stream key; a source on the old one is disconnected.

        Raises NotFound, Conflict (a pull has no key), in LiveKit Unavailable: then nothing has changed.
        """
        row = await self.store.read(ingress_rows.get, app.id, ingress_id)
        if row.livekit_id is not None and self.livekit is not None:
            return await self._rotate_there(self.livekit, app, row)
        secret = new_stream_key()
        row = await self.store.write(ingress_rows.exchange, app.id, ingress_id, secret)
        await self._follow(row)
        return IssuedIngress(self._shown(app, row), secret)

    async def delete(self, app: App, ingress_id: str) -> None:
        """The ingress is gone and its source disconnected. Raises NotFound."""
        await self._follow(await self.store.write(ingress_rows.delete, app.id, ingress_id))

    async def probe(self, app: App, new: NewIngress) -> tuple[SourceUrl, Probe]:
        """What a source has that would be pulled; nothing is stored. Raises Invalid, SourceUnusable, Unavailable."""
        if not new.input_type.pulled:
            refuse([FieldProblem("inputType", "only what is pulled can be tested: 'rtsp' or 'url'")])
        refuse(refused_here(new))
        url = await self._source(new, known=True)
        return url, await self.relays.probe(unstored(app, new, url))

    async def counts(self, app_id: int | None = None) -> tuple[int, int]:
        """How many ingresses there are in the app or in all, and how many of them have a source."""
        total, active, there, relayed = await self.store.read(ingress_rows.counts, app_id)
        active += sum(1 for one in relayed if self.relays.activity(one).state.active)
        return total, active + (0 if self.livekit is None else self.livekit.count_active(there))

    def _pulling(self, new: NewIngress, url: SourceUrl) -> Completes:
        return lambda row: with_source(with_options(row, new), url, self.relays.box)

    async def _source(self, new: NewIngress, *, known: bool = False) -> SourceUrl:
        url = parse_source_url(new.url or "", SCHEMES[new.input_type])
        await may_be_opened(self.relays.outbound, url, known=known)
        return url

    async def _follow(self, row: IngressRow, *, ended: bool = True) -> None:
        """Whoever takes the source in knows of a change of its row."""
        if row.livekit_id is not None:
            if self.livekit is not None:
                await self.livekit.settle()
        elif row.input_type != InputType.WHIP.value:
            await self.relays.over([row.id] if ended else [])
        elif ended:
            await self.sessions.end(row.id)

    async def _create_there(self, livekit: LiveKitIngresses, app: App, new: NewIngress) -> IssuedIngress:
        room = app.room(new.room or "").room
        identity = ingress_rows.free_identity(app, new, await self.store.read(rows.identities, app.id, room))
        wish = IngressWish(
            input_type=new.input_type,
            name=_name_there(app, room),
            room=room,
            identity=identity,
            participant_name=new.participant_name,
            url=new.url,
            transcoding=new.enable_transcoding,
        )
        new = attrs.evolve(new, participant_identity=identity)

        def insert(db: Database, live: LiveIngress) -> IngressRow:
            return ingress_rows.insert(
                db, app, new, self.now(), live.stream_key or None, lambda row: ingress_rows.of_livekit(row, live)
            )

        row, secret = await self._make_there(livekit, wish, insert)
        return IssuedIngress(self._shown(app, row), secret)

    async def _rotate_there(self, livekit: LiveKitIngresses, app: App, row: IngressRow) -> IssuedIngress:
        """LiveKit cannot exchange a key: a new ingress takes the place of the old one."""
        if row.input_type == InputType.URL.value:
            raise Conflict(
                "a pull has no stream key", code="no_stream_key", hint="To start it again, DELETE it and make it anew."
            )
        wish = IngressWish(
            input_type=InputType(row.input_type),
            name=_name_there(app, row.room),
            room=row.room,
            identity=row.identity,
            participant_name=row.name,
            transcoding=row.transcoding,
            enabled=row.enabled,
        )

        def exchange(db: Database, live: LiveIngress) -> IngressRow:
            return ingress_rows.exchange_there(db, app.id, row.id, live)

        changed, secret = await self._make_there(livekit, wish, exchange)
        await livekit.settle()
        return IssuedIngress(self._shown(app, changed), secret)

    async def _make_there(
        self, livekit: LiveKitIngresses, wish: IngressWish, note: Callable[[Database, LiveIngress], IngressRow]
    ) -> tuple[IngressRow, str | None]:
        """The row that ``note`` made of a new ingress of LiveKit's, and its stream key: both are there, or neither."""

        async def make() -> tuple[IngressRow, str | None]:
            live = await livekit.make(wish)
            try:
                return await self.store.write(note, live), live.stream_key or None
            except StreamHubError:
                await livekit.undo(live)
                raise

        return await finish(make, GRACE_S)

    def _shown(
        self, app: App, row: IngressRow, session: SessionRow | None = None, live: Participant | None = None
    ) -> Ingress:
        there, kind, url = row.livekit_id is not None, InputType(row.input_type), row.url
        if there and self.livekit is not None:
            activity = self.livekit.activity(RoomKey(app.name, RoomName(row.room)), row)
            url = self.livekit.url(row)
        elif kind is InputType.WHIP or there:
            activity = _activity(session, live)
        else:
            activity = self.relays.activity(row.id)
            if kind is InputType.RTMP and self.relays.rtmp_url is not None:
                url = with_rtmp_app(self.relays.rtmp_url)
        return Ingress(
            id=row.id,
            input_type=kind,
            room=row.room,
            room_given=row.room_given,
            identity=row.identity,
            name=row.name,
            key_prefix=row.key_prefix,
            enabled=row.enabled,
            created_at=row.created_at,
            last_used_at=row.last_used_at or activity.last_came_at,
            activity=activity,
            adaptive=there and bool(row.transcoding),
            url=url,
            rtmp_port=RTMP_PORT if there or self.relays.rtmp_port is None else self.relays.rtmp_port,
            pull=options_of(row),
        )


def _as_it_is(row: IngressRow) -> IngressRow:
    return row


def _name_there(app: App, room: str) -> str:
    return app.name + room.removeprefix(app.room_prefix)  # the contract's <app>-<room>


def _activity(session: SessionRow | None, live: Participant | None) -> Activity:
    """What a source at our own door does."""
    if session is None:
        return Activity()
    video = next((t for t in live.tracks if t.kind == "video"), None) if live else None
    return Activity(
        IngressState.PUBLISHING if live is not None and live.publishes else IngressState.BUFFERING,
        started_at=session.started_at,
        width=video.width or None if video else None,
        height=video.height or None if video else None,
    )
