"""Ingresses: sources that publish into a room by a stream key of their own. WHIP is the first kind."""

# ruff: noqa: RUF009 - declared() makes the attrs field itself, not its default.

from __future__ import annotations

import re
import secrets
from datetime import datetime

import attrs

from streamhub.errors import Conflict, FieldProblem, Invalid, NotFound
from streamhub.livekit.participants import Participant
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import IngressState, InputType
from streamhub.model.names import ROOM_NAME
from streamhub.services.apps import App, unknown_app
from streamhub.services.fields import PRINTABLE, Page, Paging, between, declared, length, like
from streamhub.services.sealing import digest, new_stream_key, prefix_of
from streamhub.services.whip_sessions import WhipSessions
from streamhub.store import apps as app_rows
from streamhub.store import ingress as rows
from streamhub.store import whip_sessions as session_rows
from streamhub.store.db import Database, Store, Taken
from streamhub.store.ingress import IngressRow
from streamhub.store.whip_sessions import SessionRow

STREAM_KEY = re.compile(r"[A-Za-z0-9_-]{24,200}", re.ASCII)
_ROOM = like(ROOM_NAME, "1 to 120 of letters, digits, '.', '_' and '-'")


@attrs.frozen
class NewIngress:
    """A request for an ingress."""

    input_type: InputType = declared("How the source comes; 'whip' in this version.")
    room: str | None = declared("The room it publishes to; default: the app's prefix.", _ROOM, default=None)
    participant_identity: str | None = declared(
        "Its identity in the room, unique there; default: 'ingress-<app>'.",
        length(1, 120),
        PRINTABLE,
        default=None,
    )
    participant_name: str | None = declared("The name others see.", length(1, 120), PRINTABLE, default=None)
    enable_transcoding: bool | None = declared("Of no effect with WHIP, which is never transcoded.", default=None)
    url: str | None = declared("Where to pull from; not with 'whip'.", length(1, 500), default=None, secret=True)
    stream_key: str | None = declared(
        "Your own key instead of a made one (right 'manage').",
        like(STREAM_KEY, "24 to 200 of letters, digits, '_' and '-'"),
        default=None,
        secret=True,
    )


@attrs.frozen
class IngressPatch:
    """A change of an ingress; what is left out stays."""

    enabled: bool | None = declared("Whether it lets its source in; switched off, the source is disconnected.")


@attrs.frozen
class IngressQuery:
    """Which ingresses are wanted."""

    room: str | None = declared("Only those of this room, short or with the prefix.", length(1, 200), default=None)
    q: str | None = declared("Only those with this text in id, name, identity or room.", length(0, 200), default=None)
    limit: int = declared("Most rows in the answer.", between(1, 500), default=50)
    offset: int = declared("Rows left out at the start.", between(0, 1_000_000_000), default=0)


@attrs.frozen
class Ingress:
    """An ingress as everybody may see it, and what its source is doing."""

    id: str
    input_type: InputType
    room: str
    room_given: str
    identity: str
    name: str | None
    key_prefix: str
    enabled: bool
    created_at: datetime
    last_used_at: datetime | None
    state: IngressState = IngressState.INACTIVE
    started_at: datetime | None = None
    width: int | None = None
    height: int | None = None


@attrs.frozen
class IssuedIngress:
    """An ingress with its stream key, for the only time."""

    ingress: Ingress
    secret: str = attrs.field(repr=False)


@attrs.frozen
class Ingresses:
    """The use cases of ``/apps/<app>/ingress``. The caller has been authorised for the app given."""

    store: Store
    sessions: WhipSessions
    now: WallClock = utc_now

    async def create(self, app: App, new: NewIngress) -> IssuedIngress:
        """An ingress for a room. Raises Invalid; Conflict for an identity or stream key in use."""
        _check(new)
        secret = new.stream_key or new_stream_key()
        return IssuedIngress(_shown(await self.store.write(self._insert, app, new, secret)), secret)

    async def page(self, app: App, query: IngressQuery) -> Page[Ingress]:
        """The app's ingresses, newest first."""
        room = None if query.room is None else app.room(query.room).room
        found, total, sessions = await self.store.read(_page, app.id, room, query)
        live = await self.sessions.look(sessions.values())
        shown = [_shown(row, sessions.get(row.id), live.get(row.id)) for row in found]
        return Page(shown, total, Paging(query.limit, query.offset))

    async def get(self, app: App, ingress_id: str) -> Ingress:
        """The ingress. Raises NotFound."""
        row, session = await self.store.read(_with_session, app.id, ingress_id)
        live = await self.sessions.look([session] if session else [])
        return _shown(row, session, live.get(ingress_id))

    async def patch(self, app: App, ingress_id: str, patch: IngressPatch) -> Ingress:
        """The ingress after the change; switched off, its source is disconnected. Raises NotFound."""
        if patch.enabled is not None:
            await self.store.write(_switch, app.id, ingress_id, patch.enabled)
            if not patch.enabled:
                await self.sessions.end(ingress_id)
        return await self.get(app, ingress_id)

    async def rotate(self, app: App, ingress_id: str) -> IssuedIngress:
        """The ingress with a new stream key; a source on the old one is disconnected. Raises NotFound."""
        secret = new_stream_key()
        row = await self.store.write(_exchange, app.id, ingress_id, secret)
        await self.sessions.end(ingress_id)
        return IssuedIngress(_shown(row), secret)

    async def delete(self, app: App, ingress_id: str) -> None:
        """The ingress is gone and its source disconnected. Raises NotFound."""
        await self.store.write(_delete, app.id, ingress_id)
        await self.sessions.end(ingress_id)

    def _insert(self, db: Database, app: App, new: NewIngress, secret: str) -> IngressRow:
        # Read again: the prefix may have changed since the caller loaded the app.
        current = app_rows.by_id(db, app.id)
        if current is None:
            raise unknown_app(app.name)
        room = attrs.evolve(app, room_prefix=current.room_prefix).room(new.room or "").room
        row = IngressRow(
            id=f"IN_{secrets.token_hex(6)}",
            app_id=app.id,
            input_type=new.input_type.value,
            room=room,
            room_given=new.room or current.room_prefix,
            identity=_identity(app, new, rows.identities(db, app.id, room)),
            name=new.participant_name,
            key_hash=digest(secret),
            key_prefix=prefix_of(secret),
            enabled=True,
            created_at=self.now(),
        )
        try:
            rows.insert(db, row)
        except Taken:
            raise Conflict(
                "this stream key is in use already", code="stream_key_exists", hint="Each key belongs to one ingress."
            ) from None
        return row


def _check(new: NewIngress) -> None:
    problems = []
    if new.input_type is not InputType.WHIP:
        message = f"'{new.input_type.value}' is not part of this version yet; 'whip' is"
        problems.append(FieldProblem("inputType", message))
    elif new.url is not None:
        problems.append(FieldProblem("url", "does not go with 'whip': the encoder comes to us"))
    if problems:
        raise Invalid(
            "the body is not valid: " + "; ".join(f"{p.path}: {p.message}" for p in problems), fields=problems
        )


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


def _switch(db: Database, app_id: int, ingress_id: str, enabled: bool) -> None:
    _get(db, app_id, ingress_id)
    rows.set_enabled(db, ingress_id, enabled)


def _exchange(db: Database, app_id: int, ingress_id: str, secret: str) -> IngressRow:
    row = _get(db, app_id, ingress_id)
    rows.set_secret(db, ingress_id, digest(secret), prefix_of(secret))
    return attrs.evolve(row, key_hash=digest(secret), key_prefix=prefix_of(secret))


def _delete(db: Database, app_id: int, ingress_id: str) -> None:
    _get(db, app_id, ingress_id)
    rows.delete(db, ingress_id)


def _get(db: Database, app_id: int, ingress_id: str) -> IngressRow:
    row = rows.by_id(db, app_id, ingress_id)
    if row is None:
        raise NotFound(
            f"ingress {ingress_id} not found",
            code="ingress_not_found",
            hint="GET /api/v1/apps/<app>/ingress lists the ingresses.",
        )
    return row


def _shown(row: IngressRow, session: SessionRow | None = None, live: Participant | None = None) -> Ingress:
    video = next((t for t in live.tracks if t.kind == "video"), None) if live else None
    state = IngressState.INACTIVE if session is None else IngressState.BUFFERING
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
        last_used_at=row.last_used_at,
        state=IngressState.PUBLISHING if live is not None and live.publishes else state,
        started_at=None if session is None else session.started_at,
        width=video.width or None if video else None,
        height=video.height or None if video else None,
    )
