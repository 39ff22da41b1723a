"""Ingresses: sources that publish into a room, by a stream key of their own or pulled.

WHIP is taken in by ourselves; with STREAMHUB_INGRESS=livekit new ones are LiveKit's. A row keeps the way it was made.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import attrs

from streamhub.errors import Conflict, FieldProblem, Invalid, NotFound, StreamHubError
from streamhub.livekit.ingresses import IngressWish, LiveIngress
from streamhub.livekit.participants import Participant
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import Activity, IngressState, InputType
from streamhub.model.names import RoomKey, RoomName
from streamhub.services.apps import App, unknown_app
from streamhub.services.fields import Page, Paging
from streamhub.services.finishing import finish
from streamhub.services.ingress_values import Ingress, IngressPatch, IngressQuery, IssuedIngress, NewIngress
from streamhub.services.livekit_ingress import SHOWN_OF_KEY, LiveKitIngresses, refused_there, shown_url
from streamhub.services.sealing import digest, new_stream_key, prefix_of
from streamhub.services.whip_sessions import WhipSessions
from streamhub.store import apps as app_rows
from streamhub.store import ingress as rows
from streamhub.store import whip_sessions as session_rows
from streamhub.store.db import Database, Store, Taken
from streamhub.store.ingress import IngressRow
from streamhub.store.whip_sessions import SessionRow

# For a request that is cancelled: LiveKit answers in milliseconds, and a server that stops has five seconds in all.
GRACE_S = 2.0


@attrs.frozen
class Ingresses:
    """The use cases of ``/apps/<app>/ingress``. The caller has been authorised for the app given."""

    store: Store
    sessions: WhipSessions
    now: WallClock = utc_now
    livekit: LiveKitIngresses | None = None

    async def create(self, app: App, new: NewIngress) -> IssuedIngress:
        """An ingress for a room. Raises Invalid, Conflict (identity or stream key in use); in LiveKit Unavailable."""
        if self.livekit is not None and self.livekit.chosen:
            _refuse(refused_there(new))
            return await self._create_there(self.livekit, app, new)
        _refuse(_refused_here(new))
        secret = new.stream_key or new_stream_key()
        return IssuedIngress(self._shown(app, await self.store.write(self._insert, app, new, secret)), secret)

    async def page(self, app: App, query: IngressQuery) -> Page[Ingress]:
        """The app's ingresses, newest first."""
        room = None if query.room is None else app.room(query.room).room
        found, total, sessions = await self.store.read(_page, app.id, room, query)
        live = await self.sessions.look(sessions.values())
        shown = [self._shown(app, row, sessions.get(row.id), live.get(row.id)) for row in found]
        return Page(shown, total, Paging(query.limit, query.offset))

    async def get(self, app: App, ingress_id: str) -> Ingress:
        """The ingress. Raises NotFound."""
        row, session = await self.store.read(_with_session, app.id, ingress_id)
        live = await self.sessions.look([session] if session else [])
        return self._shown(app, row, session, live.get(ingress_id))

    async def patch(self, app: App, ingress_id: str, patch: IngressPatch) -> Ingress:
        """The ingress after the change; switched off, its source is cut off. Raises NotFound, Conflict (a pull)."""
        if patch.enabled is not None:
            row = await self.store.write(_switch, app.id, ingress_id, patch.enabled)
            await self._follow(row, ended=not patch.enabled)
        return await self.get(app, ingress_id)

    async def rotate(self, app: App, ingress_id: str) -> IssuedIngress:
        """The ingress with a new stream key; a source on the old one is disconnected.

        Raises NotFound, Conflict (a pull has no key), in LiveKit Unavailable: then nothing has changed.
        """
        row = await self.store.read(_get, app.id, ingress_id)
        if row.livekit_id is not None and self.livekit is not None:
            return await self._rotate_there(self.livekit, app, row)
        secret = new_stream_key()
        row = await self.store.write(_exchange, app.id, ingress_id, secret)
        await self._follow(row)
        return IssuedIngress(self._shown(app, row), secret)

    async def delete(self, app: App, ingress_id: str) -> None:
        """The ingress is gone and its source disconnected. Raises NotFound."""
        await self._follow(await self.store.write(_delete, app.id, ingress_id))

    async def counts(self, app_id: int | None = None) -> tuple[int, int]:
        """How many ingresses there are in the app or in all, and how many of them have a source."""
        total, sessions, there = await self.store.read(_counts, app_id)
        return total, sessions + (0 if self.livekit is None else self.livekit.count_active(there))

    async def _follow(self, row: IngressRow, *, ended: bool = True) -> None:
        """Whoever takes the source in knows of a change of its row."""
        if row.livekit_id is None:
            if ended:
                await self.sessions.end(row.id)
        elif self.livekit is not None:
            await self.livekit.settle()

    async def _create_there(self, livekit: LiveKitIngresses, app: App, new: NewIngress) -> IssuedIngress:
        room = app.room(new.room or "").room
        identity = _identity(app, new, await self.store.read(rows.identities, app.id, room))
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
            return self._insert(db, app, new, live.stream_key or None, live)

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
            return _exchange_there(db, app.id, row.id, live)

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

    def _insert(
        self, db: Database, app: App, new: NewIngress, secret: str | None, live: LiveIngress | None = None
    ) -> IngressRow:
        # Read again: the prefix may have changed since the caller loaded the app.
        current = app_rows.by_id(db, app.id)
        if current is None:
            raise unknown_app(app.name)
        room = attrs.evolve(app, room_prefix=current.room_prefix).room(new.room or "").room
        ingress_id = f"IN_{secrets.token_hex(6)}"
        row = IngressRow(
            id=ingress_id,
            app_id=app.id,
            input_type=new.input_type.value,
            room=room,
            room_given=new.room or current.room_prefix,
            identity=_identity(app, new, rows.identities(db, app.id, room)),
            name=new.participant_name,
            key_hash=f"no key: {ingress_id}" if secret is None else digest(secret),
            key_prefix="" if secret is None else prefix_of(secret),
            enabled=True,
            created_at=self.now(),
        )
        if live is not None:
            row = attrs.evolve(
                row,
                key_prefix=live.stream_key[:SHOWN_OF_KEY],
                livekit_id=live.id,
                url=shown_url(live),
                transcoding=live.transcoded,
            )
        try:
            rows.insert(db, row)
        except Taken:
            raise Conflict(
                "this stream key is in use already", code="stream_key_exists", hint="Each key belongs to one ingress."
            ) from None
        return row

    def _shown(
        self, app: App, row: IngressRow, session: SessionRow | None = None, live: Participant | None = None
    ) -> Ingress:
        there = row.livekit_id is not None
        activity, url = _activity(session, live), row.url
        if there and self.livekit is not None:
            activity = self.livekit.activity(RoomKey(app.name, RoomName(row.room)), row)
            url = self.livekit.url(row)
        return Ingress(
            id=row.id,
            input_type=InputType(row.input_type),
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
        )


def _refused_here(new: NewIngress) -> list[FieldProblem]:
    if new.input_type is not InputType.WHIP:
        message = f"'{new.input_type.value}' is not part of this version yet; 'whip' is"
        return [FieldProblem("inputType", message)]
    if new.url is not None:
        return [FieldProblem("url", "does not go with 'whip': the encoder comes to us")]
    return []


def _refuse(problems: list[FieldProblem]) -> None:
    if problems:
        raise Invalid(
            "the body is not valid: " + "; ".join(f"{p.path}: {p.message}" for p in problems), fields=problems
        )


def _name_there(app: App, room: str) -> str:
    return app.name + room.removeprefix(app.room_prefix)  # the contract's <app>-<room>


def _identity(app: App, new: NewIngress, taken: set[str]) -> str:
    """LiveKit throws out whoever has the same identity in a room: two ingresses would take turns for ever."""
    wanted = new.participant_identity or f"ingress-{app.name}"
    if wanted not in taken:
        return wanted
    if new.participant_identity is None:
        return f"{wanted}-{secrets.token_hex(3)}"
    raise Conflict(
        f"another ingress has the identity '{wanted}' in this room",
        code="identity_taken",
        hint="Choose another participantIdentity, or rotate the key of the ingress that has it.",
    )


def _page(
    db: Database, app_id: int, room: str | None, query: IngressQuery
) -> tuple[list[IngressRow], int, dict[str, SessionRow]]:
    found, total = rows.page(db, app_id, room=room, text=query.q, limit=query.limit, offset=query.offset)
    ids = {row.id for row in found}
    return found, total, {k: v for k, v in session_rows.of_app(db, app_id).items() if k in ids}


def _with_session(db: Database, app_id: int, ingress_id: str) -> tuple[IngressRow, SessionRow | None]:
    return _get(db, app_id, ingress_id), session_rows.by_ingress(db, ingress_id)


def _counts(db: Database, app_id: int | None) -> tuple[int, int, list[IngressRow]]:
    return rows.count(db, app_id), session_rows.count(db, app_id), rows.in_livekit(db, app_id)


def _switch(db: Database, app_id: int, ingress_id: str, enabled: bool) -> IngressRow:
    row = _get(db, app_id, ingress_id)
    if row.livekit_id is not None and row.input_type == InputType.URL.value:
        raise Conflict(
            "LiveKit cannot switch a pull off or on",
            code="ingress_not_switchable",
            hint="DELETE it to stop it, and make it anew to start it again.",
        )
    rows.set_enabled(db, ingress_id, enabled)
    return attrs.evolve(row, enabled=enabled)


def _exchange(db: Database, app_id: int, ingress_id: str, secret: str) -> IngressRow:
    row = _get(db, app_id, ingress_id)
    rows.set_secret(db, ingress_id, digest(secret), prefix_of(secret))
    return attrs.evolve(row, key_hash=digest(secret), key_prefix=prefix_of(secret))


def _exchange_there(db: Database, app_id: int, ingress_id: str, live: LiveIngress) -> IngressRow:
    row = _get(db, app_id, ingress_id)
    key_hash, prefix = digest(live.stream_key), live.stream_key[:SHOWN_OF_KEY]
    rows.set_secret(db, ingress_id, key_hash, prefix)
    rows.set_livekit(db, ingress_id, live.id, shown_url(live))
    return attrs.evolve(row, key_hash=key_hash, key_prefix=prefix, livekit_id=live.id, url=shown_url(live))


def _delete(db: Database, app_id: int, ingress_id: str) -> IngressRow:
    row = _get(db, app_id, ingress_id)
    rows.delete(db, ingress_id)
    return row


def _get(db: Database, app_id: int, ingress_id: str) -> IngressRow:
    row = rows.by_id(db, app_id, ingress_id)
    if row is None:
        raise NotFound(
            f"ingress {ingress_id} not found",
            code="ingress_not_found",
            hint="GET /api/v1/apps/<app>/ingress lists the ingresses.",
        )
    return row


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
