"""Rows of ``camera_keys``. Only digests of keys are stored."""

# ruff: noqa: S608 - only constants of this module are put into SQL; values are always bound.

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlite_utils import Database

from streamhub.store.failures import unique
from streamhub.store.times import from_ms, to_ms

# SQLite binds 999 values at the least (SQLITE_MAX_VARIABLE_NUMBER).
_MOST_BOUND = 500
_COLUMNS = (
    "id, app_id, room, room_given, identity, key_hash, key_prefix, idle_timeout_s, takeover, created_at, last_used_at"
)


@attrs.frozen
class KeyRow:
    """One camera key as stored; ``room`` is namespaced, ``room_given`` as it was written when the key was made."""

    id: str
    app_id: int
    room: str
    room_given: str
    identity: str
    key_hash: str
    key_prefix: str
    idle_timeout_s: int
    takeover: bool
    created_at: datetime
    last_used_at: datetime | None = None


def insert(db: Database, row: KeyRow) -> None:
    """Add a key. Raises Taken if its digest is there already, or the app is not."""
    with unique():
        db.execute(
            f"INSERT INTO camera_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            [
                row.id,
                row.app_id,
                row.room,
                row.room_given,
                row.identity,
                row.key_hash,
                row.key_prefix,
                row.idle_timeout_s,
                int(row.takeover),
                to_ms(row.created_at),
            ],
        )


def set_secret(db: Database, key_id: str, key_hash: str, key_prefix: str) -> None:
    """Exchange the secret of a key. Raises Taken if the digest is there already."""
    with unique():
        db.execute("UPDATE camera_keys SET key_hash = ?, key_prefix = ? WHERE id = ?", [key_hash, key_prefix, key_id])


def set_room(db: Database, key_id: str, room: str, room_given: str) -> None:
    """Bind a key to another room."""
    db.execute("UPDATE camera_keys SET room = ?, room_given = ? WHERE id = ?", [room, room_given, key_id])


def delete(db: Database, key_id: str) -> None:
    """Remove a key."""
    db.execute("DELETE FROM camera_keys WHERE id = ?", [key_id])


def by_id(db: Database, app_id: int, key_id: str) -> KeyRow | None:
    """The key of that id, if it is of that app."""
    return _one(db, "id = ? AND app_id = ?", key_id, app_id)


def by_hashes(db: Database, key_hashes: Sequence[str]) -> dict[str, KeyRow]:
    """The keys of all apps by digest, those that exist."""
    found: dict[str, KeyRow] = {}
    for start in range(0, len(key_hashes), _MOST_BOUND):
        part = key_hashes[start : start + _MOST_BOUND]
        marks = ", ".join("?" * len(part))
        for values in db.execute(f"SELECT {_COLUMNS} FROM camera_keys WHERE key_hash IN ({marks})", list(part)):
            row = _row(values)
            found[row.key_hash] = row
    return found


def of_app(db: Database, app_id: int) -> list[KeyRow]:
    """All keys of the app, newest first."""
    return page(db, app_id, -1, 0)[0]


def page(db: Database, app_id: int, limit: int, offset: int) -> tuple[list[KeyRow], int]:
    """A page of the app's keys, newest first (limit -1: all of them), and how many there are."""
    total = db.execute("SELECT count(*) FROM camera_keys WHERE app_id = ?", [app_id]).fetchone()[0]
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM camera_keys WHERE app_id = ? ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
        [app_id, limit, offset],
    )
    return [_row(r) for r in rows.fetchall()], int(total)


def hashes(db: Database, key_ids: Sequence[str]) -> dict[str, str]:
    """Digest by id, of those keys that exist."""
    found: dict[str, str] = {}
    for start in range(0, len(key_ids), _MOST_BOUND):
        part = key_ids[start : start + _MOST_BOUND]
        marks = ",".join("?" * len(part))
        found |= dict(db.execute(f"SELECT id, key_hash FROM camera_keys WHERE id IN ({marks})", part).fetchall())
    return found


def _one(db: Database, where: str, *args: object) -> KeyRow | None:
    found = db.execute(f"SELECT {_COLUMNS} FROM camera_keys WHERE {where}", args).fetchone()
    return None if found is None else _row(found)


def _row(values: Sequence[Any]) -> KeyRow:
    *head, takeover, created_at, last_used_at = values
    return KeyRow(*[*head, bool(takeover), from_ms(created_at), from_ms(last_used_at)])
