"""What ingresses need of the rows, each function within one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

import attrs

from streamhub.errors import Conflict, NotFound
from streamhub.livekit.ingresses import LiveIngress
from streamhub.model.ingress import InputType
from streamhub.services.apps import App, unknown_app
from streamhub.services.fields import Unset
from streamhub.services.ingress_values import IngressPatch, IngressQuery, NewIngress
from streamhub.services.livekit_ingress import SHOWN_OF_KEY, shown_url
from streamhub.services.pulls import refuse, refused_change, with_options
from streamhub.services.sealing import digest, prefix_of
from streamhub.store import apps as app_rows
from streamhub.store import ingress as rows
from streamhub.store import whip_sessions as session_rows
from streamhub.store.db import Database, Taken
from streamhub.store.ingress import IngressRow
from streamhub.store.whip_sessions import SessionRow


def insert(
    db: Database,
    app: App,
    new: NewIngress,
    at: datetime,
    secret: str | None,
    more: Callable[[IngressRow], IngressRow] = lambda row: row,
) -> IngressRow:
    """A new row, completed by ``more``. Raises Conflict: identity or stream key in use."""
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
        identity=free_identity(app, new, rows.identities(db, app.id, room)),
        name=new.participant_name,
        key_hash=f"no key: {ingress_id}" if secret is None else digest(secret),
        key_prefix="" if secret is None else prefix_of(secret),
        enabled=new.enabled,
        created_at=at,
    )
    row = more(row)
    try:
        rows.insert(db, row)
    except Taken:
        raise Conflict(
            "this stream key is in use already", code="stream_key_exists", hint="Each key belongs to one ingress."
        ) from None
    return row


def of_livekit(row: IngressRow, live: LiveIngress) -> IngressRow:
    """The row as that of an ingress that LiveKit has made."""
    return attrs.evolve(
        row,
        key_prefix=live.stream_key[:SHOWN_OF_KEY],
        livekit_id=live.id,
        url=shown_url(live),
        transcoding=live.transcoded,
    )


def free_identity(app: App, new: NewIngress, taken: set[str]) -> str:
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


def page(
    db: Database, app_id: int, room: str | None, query: IngressQuery
) -> tuple[list[IngressRow], int, dict[str, SessionRow]]:
    """The rows wanted, how many there are, and the WHIP sessions that they have, by their ids."""
    found, total = rows.page(db, app_id, room=room, text=query.q, limit=query.limit, offset=query.offset)
    ids = {row.id for row in found}
    return found, total, {k: v for k, v in session_rows.of_app(db, app_id).items() if k in ids}


def with_session(db: Database, app_id: int, ingress_id: str) -> tuple[IngressRow, SessionRow | None]:
    """The row and its open WHIP session. Raises NotFound."""
    return get(db, app_id, ingress_id), session_rows.by_ingress(db, ingress_id)


def counts(db: Database, app_id: int | None) -> tuple[int, int, list[IngressRow], list[str]]:
    """All rows and open WHIP sessions, counted; the rows of LiveKit; ids of those that relays of ours take in."""
    relayed = rows.relayed_here(db, app_id)
    return rows.count(db, app_id), session_rows.count(db, app_id), rows.in_livekit(db, app_id), relayed


def change(
    db: Database,
    app_id: int,
    ingress_id: str,
    patch: IngressPatch,
    more: Callable[[IngressRow], IngressRow] = lambda row: row,
) -> tuple[IngressRow, IngressRow]:
    """The row before the change and after it, completed by ``more``. Raises NotFound, Conflict, Invalid."""
    before = get(db, app_id, ingress_id)
    refuse(refused_change(before, patch))
    if not isinstance(patch.enabled, Unset) and before.livekit_id is not None and InputType(before.input_type).pulled:
        raise Conflict(
            "LiveKit cannot switch a pull off or on",
            code="ingress_not_switchable",
            hint="DELETE it to stop it, and make it anew to start it again.",
        )
    after = more(with_options(before, patch))
    if not isinstance(patch.enabled, Unset):
        after = attrs.evolve(after, enabled=patch.enabled)
    if not isinstance(patch.participant_name, Unset):
        after = attrs.evolve(after, name=patch.participant_name)
    if after != before:
        rows.update(db, after)
    return before, after


def exchange(db: Database, app_id: int, ingress_id: str, secret: str) -> IngressRow:
    """The row with that stream key from now on. Raises NotFound, Conflict (a pull has none)."""
    row = get(db, app_id, ingress_id)
    if row.source is not None:
        raise Conflict(
            "a pull has no stream key",
            code="no_stream_key",
            hint='If its password changed, PATCH it with {"url": "…"}.',
        )
    rows.set_secret(db, ingress_id, digest(secret), prefix_of(secret))
    return attrs.evolve(row, key_hash=digest(secret), key_prefix=prefix_of(secret))


def exchange_there(db: Database, app_id: int, ingress_id: str, live: LiveIngress) -> IngressRow:
    """The row as that of another ingress that LiveKit has made. Raises NotFound."""
    row = get(db, app_id, ingress_id)
    key_hash, prefix = digest(live.stream_key), live.stream_key[:SHOWN_OF_KEY]
    rows.set_secret(db, ingress_id, key_hash, prefix)
    rows.set_livekit(db, ingress_id, live.id, shown_url(live))
    return attrs.evolve(row, key_hash=key_hash, key_prefix=prefix, livekit_id=live.id, url=shown_url(live))


def delete(db: Database, app_id: int, ingress_id: str) -> IngressRow:
    """The row, which is gone now. Raises NotFound."""
    row = get(db, app_id, ingress_id)
    rows.delete(db, ingress_id)
    return row


def get(db: Database, app_id: int, ingress_id: str) -> IngressRow:
    """The row, if it is of that app. Raises NotFound."""
    row = rows.by_id(db, app_id, ingress_id)
    if row is None:
        raise NotFound(
            f"ingress {ingress_id} not found",
            code="ingress_not_found",
            hint="GET /api/v1/apps/<app>/ingress lists the ingresses.",
        )
    return row
