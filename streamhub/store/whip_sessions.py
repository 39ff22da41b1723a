"""Rows of ``whip_sessions``: the open ones only, at most one per ingress."""

# ruff: noqa: S608 - only constants of this module are put into SQL; values are always bound.

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlite_utils import Database

from streamhub.store.failures import unique
from streamhub.store.times import from_ms, to_ms

_COLUMNS = "id_hash, ingress_id, room, identity, resource, etag, mid, ufrag, started_at"


@attrs.frozen
class SessionRow:
    """One open session as stored; ``etag`` is LiveKit's, without quotes."""

    id_hash: str
    ingress_id: str
    room: str
    identity: str
    resource: str
    etag: str
    mid: str
    ufrag: str
    started_at: datetime

    @property
    def sid(self) -> str:
        """LiveKit's id of the participant."""
        return self.resource.rpartition("/")[2]


def replace(db: Database, row: SessionRow) -> SessionRow | None:
    """Store the ingress's session; returns the one it takes the place of. Raises Taken if the ingress is gone."""
    before = _one(db, "ingress_id = ?", row.ingress_id)
    values = attrs.asdict(row) | {"started_at": to_ms(row.started_at)}
    marks = ", ".join(f":{name}" for name in _COLUMNS.split(", "))
    with unique():
        db.execute(f"INSERT OR REPLACE INTO whip_sessions ({_COLUMNS}) VALUES ({marks})", values)
    return before


def by_hash(db: Database, id_hash: str) -> SessionRow | None:
    """The session whose URL has this digest."""
    return _one(db, "id_hash = ?", id_hash)


def by_ingress(db: Database, ingress_id: str) -> SessionRow | None:
    """The ingress's session."""
    return _one(db, "ingress_id = ?", ingress_id)


def all_open(db: Database) -> list[SessionRow]:
    """All sessions."""
    return [_row(r) for r in db.execute(f"SELECT {_COLUMNS} FROM whip_sessions").fetchall()]


def of_app(db: Database, app_id: int) -> dict[str, SessionRow]:
    """The sessions of an app's ingresses, by ingress id."""
    columns = ", ".join(f"s.{name}" for name in _COLUMNS.split(", "))
    rows = db.execute(
        f"SELECT {columns} FROM whip_sessions s JOIN ingresses i ON i.id = s.ingress_id WHERE i.app_id = ?", [app_id]
    )
    return {row.ingress_id: row for row in map(_row, rows.fetchall())}


def count(db: Database, app_id: int | None = None) -> int:
    """How many sessions are open, of the app or of all."""
    tables = "whip_sessions s JOIN ingresses i ON i.id = s.ingress_id"
    found = db.execute(f"SELECT count(*) FROM {tables} WHERE coalesce(?, app_id) = app_id", [app_id])
    return int(found.fetchone()[0])


def delete(db: Database, id_hash: str) -> bool:
    """Forget a session; whether it was there."""
    return bool(db.execute("DELETE FROM whip_sessions WHERE id_hash = ?", [id_hash]).rowcount)


def _one(db: Database, where: str, *args: object) -> SessionRow | None:
    found = db.execute(f"SELECT {_COLUMNS} FROM whip_sessions WHERE {where}", args).fetchone()
    return None if found is None else _row(found)


def _row(values: Sequence[Any]) -> SessionRow:
    *head, started_at = values
    return SessionRow(*[*head, from_ms(started_at)])
