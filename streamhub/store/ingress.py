"""Rows of ``ingresses``. Only digests of stream keys are stored, and addresses of pulled sources sealed."""

# ruff: noqa: S608 - only constants of this module are put into SQL; values are always bound.

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlite_utils import Database

from streamhub.store.failures import unique
from streamhub.store.times import from_ms, to_ms

_COLUMNS = (
    "id, app_id, input_type, room, room_given, identity, name, key_hash, key_prefix, livekit_id, url, transcoding,"
    " enabled, created_at, last_used_at, source, transport, on_demand, max_gop_s, max_height"
)
_LIKE_ESCAPES = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


@attrs.frozen
class IngressRow:
    """One ingress as stored; ``room`` is namespaced, ``room_given`` as it was written when the ingress was made.

    ``livekit_id``: LiveKit's, if its own service takes the source in; ``transcoding`` is known only of those, ``url``
    (without credentials) of those and of pulls. A source without a stream key has a ``key_hash`` that is no digest.
    ``source`` and what follows: of those that we pull ourselves; its sealed address. 0: no limit.
    """

    id: str
    app_id: int
    input_type: str
    room: str
    room_given: str
    identity: str
    name: str | None
    key_hash: str
    key_prefix: str
    enabled: bool
    created_at: datetime
    last_used_at: datetime | None = None
    livekit_id: str | None = None
    url: str | None = None
    transcoding: bool | None = None
    source: bytes | None = attrs.field(default=None, repr=False)
    transport: str = "auto"
    on_demand: bool = False
    max_gop_s: float = 0.0
    max_height: int = 0


def insert(db: Database, row: IngressRow) -> None:
    """Add an ingress. Raises Taken if its key's digest is there already, or the app is not."""
    values = attrs.asdict(row) | {"created_at": to_ms(row.created_at), "last_used_at": None}
    marks = ", ".join(f":{name}" for name in _COLUMNS.split(", "))
    with unique():
        db.execute(f"INSERT INTO ingresses ({_COLUMNS}) VALUES ({marks})", values)


def set_secret(db: Database, ingress_id: str, key_hash: str, key_prefix: str) -> None:
    """Exchange the stream key of an ingress. Raises Taken if the digest is there already."""
    with unique():
        db.execute("UPDATE ingresses SET key_hash = ?, key_prefix = ? WHERE id = ?", [key_hash, key_prefix, ingress_id])


def set_livekit(db: Database, ingress_id: str, livekit_id: str, url: str) -> None:
    """Bind an ingress to another one of LiveKit's; the former is noted as to be removed."""
    db.execute("UPDATE ingresses SET livekit_id = ?, url = ? WHERE id = ?", [livekit_id, url, ingress_id])


def update(db: Database, row: IngressRow) -> None:
    """Store what may be changed of an ingress: all but its place and its key."""
    db.execute(
        "UPDATE ingresses SET name = :name, enabled = :enabled, url = :url, source = :source, transport = :transport,"
        " on_demand = :on_demand, max_gop_s = :max_gop_s, max_height = :max_height WHERE id = :id",
        attrs.asdict(row),
    )


def set_room(db: Database, ingress_id: str, room: str, room_given: str) -> None:
    """Bind an ingress to another room."""
    db.execute("UPDATE ingresses SET room = ?, room_given = ? WHERE id = ?", [room, room_given, ingress_id])


def set_used(db: Database, ingress_id: str, at: datetime) -> None:
    """Remember that somebody came in by it."""
    db.execute("UPDATE ingresses SET last_used_at = ? WHERE id = ?", [to_ms(at), ingress_id])


def delete(db: Database, ingress_id: str) -> None:
    """Remove an ingress; its session's row goes with it."""
    db.execute("DELETE FROM ingresses WHERE id = ?", [ingress_id])


def by_id(db: Database, app_id: int, ingress_id: str) -> IngressRow | None:
    """The ingress of that id, if it is of that app."""
    return _one(db, "id = ? AND app_id = ?", ingress_id, app_id)


def find(db: Database, ingress_id: str) -> IngressRow | None:
    """The ingress of that id, of whatever app."""
    return _one(db, "id = ?", ingress_id)


def by_hash(db: Database, key_hash: str) -> IngressRow | None:
    """The ingress of any app with that stream key."""
    return _one(db, "key_hash = ?", key_hash)


def of_app(db: Database, app_id: int) -> list[IngressRow]:
    """All ingresses of the app, newest first."""
    return page(db, app_id, limit=-1)[0]


def pulled_here(db: Database) -> list[IngressRow]:
    """Of every app those that we pull ourselves and that are switched on."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM ingresses WHERE source IS NOT NULL AND enabled ORDER BY rowid")
    return [_row(r) for r in rows.fetchall()]


def relayed_here(db: Database, app_id: int | None = None) -> list[str]:
    """Ids of those, of the app or of all, whose source a relay of ours takes in."""
    rows = db.execute(
        "SELECT id FROM ingresses WHERE livekit_id IS NULL AND input_type IN ('rtmp', 'rtsp', 'url')"
        " AND coalesce(?, app_id) = app_id",
        [app_id],
    )
    return [r[0] for r in rows.fetchall()]


def in_livekit(db: Database, app_id: int | None = None) -> list[IngressRow]:
    """The ingresses, of the app or of all, that LiveKit's own service takes in."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM ingresses WHERE livekit_id IS NOT NULL AND coalesce(?, app_id) = app_id", [app_id]
    )
    return [_row(r) for r in rows.fetchall()]


def count(db: Database, app_id: int | None = None) -> int:
    """How many ingresses the app has, or all have."""
    return int(db.execute("SELECT count(*) FROM ingresses WHERE coalesce(?, app_id) = app_id", [app_id]).fetchone()[0])


def removals(db: Database) -> list[str]:
    """LiveKit's ids of ingresses that it still has to remove."""
    return [r[0] for r in db.execute("SELECT livekit_id FROM livekit_removals").fetchall()]


def removed(db: Database, livekit_id: str) -> None:
    """LiveKit has removed that one."""
    db.execute("DELETE FROM livekit_removals WHERE livekit_id = ?", [livekit_id])


def identities(db: Database, app_id: int, room: str) -> set[str]:
    """The identities that ingresses of the app have in a room."""
    rows = db.execute("SELECT identity FROM ingresses WHERE app_id = ? AND room = ?", [app_id, room])
    return {r[0] for r in rows.fetchall()}


def page(
    db: Database, app_id: int, *, room: str | None = None, text: str | None = None, limit: int, offset: int = 0
) -> tuple[list[IngressRow], int]:
    """A page of the app's ingresses, newest first (limit -1: all), and how many there are.

    ``room`` is namespaced; ``text`` is looked for in id, name, identity and room, in any case.
    """
    where, args = "app_id = ?", [app_id]
    bound: list[object] = [*args]
    if room is not None:
        where += " AND room = ?"
        bound.append(room)
    if text:
        where += " AND id || ' ' || coalesce(name, '') || ' ' || identity || ' ' || room LIKE ? ESCAPE '\\'"
        bound.append(f"%{text.translate(_LIKE_ESCAPES)}%")
    total = db.execute(f"SELECT count(*) FROM ingresses WHERE {where}", bound).fetchone()[0]
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM ingresses WHERE {where} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
        [*bound, limit, offset],
    )
    return [_row(r) for r in rows.fetchall()], int(total)


def _one(db: Database, where: str, *args: object) -> IngressRow | None:
    found = db.execute(f"SELECT {_COLUMNS} FROM ingresses WHERE {where}", args).fetchone()
    return None if found is None else _row(found)


def _row(values: Sequence[Any]) -> IngressRow:
    found = dict(zip(_COLUMNS.split(", "), values, strict=True))
    found["enabled"], found["on_demand"] = bool(found["enabled"]), bool(found["on_demand"])
    found["transcoding"] = None if found["transcoding"] is None else bool(found["transcoding"])
    found["created_at"], found["last_used_at"] = from_ms(found["created_at"]), from_ms(found["last_used_at"])
    return IngressRow(**found)
