"""Rows of ``apps``."""

# ruff: noqa: S608 - only constants of this module are put into SQL; values are always bound.

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlite_utils import Database

from streamhub.store.failures import unique
from streamhub.store.times import from_ms, to_ms

_COLUMNS = "id, name, display_name, room_prefix, features_json, callback_url, callback_secret, created_at, updated_at"


@attrs.frozen
class AppRow:
    """One app as stored; ``callback_secret`` is sealed."""

    id: int
    name: str
    display_name: str
    room_prefix: str
    features_json: str
    callback_url: str | None
    callback_secret: bytes | None
    created_at: datetime
    updated_at: datetime


def insert(db: Database, *, name: str, display_name: str, room_prefix: str, features_json: str, at: datetime) -> AppRow:
    """Add an app. Raises Taken if name or prefix is taken."""
    ms = to_ms(at)
    with unique():
        cursor = db.execute(
            "INSERT INTO apps (name, display_name, room_prefix, features_json, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [name, display_name, room_prefix, features_json, ms, ms],
        )
    return AppRow(
        int(cursor.lastrowid or 0), name, display_name, room_prefix, features_json, None, None, from_ms(ms), from_ms(ms)
    )


def update(db: Database, row: AppRow) -> None:
    """Write everything of the row that may change (not its name)."""
    db.execute(
        "UPDATE apps SET display_name = ?, room_prefix = ?, features_json = ?, callback_url = ?, callback_secret = ?,"
        " updated_at = ? WHERE id = ?",
        [
            row.display_name,
            row.room_prefix,
            row.features_json,
            row.callback_url,
            row.callback_secret,
            to_ms(row.updated_at),
            row.id,
        ],
    )


def delete(db: Database, app_id: int) -> bool:
    """Remove the app with its tokens, keys and streams; False if there is none."""
    return db.execute("DELETE FROM apps WHERE id = ?", [app_id]).rowcount > 0


def by_name(db: Database, name: str) -> AppRow | None:
    """The app of that name."""
    return _one(db, "name = ?", name)


def by_id(db: Database, app_id: int) -> AppRow | None:
    """The app of that id."""
    return _one(db, "id = ?", app_id)


def page(db: Database, limit: int, offset: int, only: str | None = None) -> tuple[list[AppRow], int]:
    """A page of the apps in the order of their names, and how many there are; ``only``: just the app of that name."""
    where, args = ("WHERE name = ?", [only]) if only is not None else ("", [])
    total = db.execute(f"SELECT count(*) FROM apps {where}", args).fetchone()[0]
    rows = db.execute(f"SELECT {_COLUMNS} FROM apps {where} ORDER BY name LIMIT ? OFFSET ?", [*args, limit, offset])
    return [_row(r) for r in rows.fetchall()], int(total)


def all_rows(db: Database) -> list[AppRow]:
    """All apps, by name."""
    return page(db, -1, 0)[0]


def prefixes(db: Database) -> dict[str, str]:
    """Room prefix of every app, by app name."""
    return dict(db.execute("SELECT name, room_prefix FROM apps").fetchall())


def names(db: Database) -> set[str]:
    """Names of all apps."""
    return {str(r[0]) for r in db.execute("SELECT name FROM apps").fetchall()}


def signature(db: Database) -> tuple[int, ...]:
    """Numbers that change whenever an app is added, changed or removed."""
    found = db.execute("SELECT count(*), coalesce(sum(id), 0), coalesce(max(updated_at), 0) FROM apps").fetchone()
    return tuple(found)


def private_names(db: Database) -> set[str]:
    """Names of the apps whose playback is not public."""
    found = db.execute("SELECT name FROM apps WHERE json_extract(features_json, '$.public_playback') = 0")
    return {str(r[0]) for r in found.fetchall()}


def count(db: Database) -> int:
    """How many apps there are."""
    return int(db.execute("SELECT count(*) FROM apps").fetchone()[0])


def _one(db: Database, where: str, arg: object) -> AppRow | None:
    found = db.execute(f"SELECT {_COLUMNS} FROM apps WHERE {where}", [arg]).fetchone()
    return None if found is None else _row(found)


def _row(values: Sequence[Any]) -> AppRow:
    *rest, created_at, updated_at = values
    return AppRow(*[*rest, from_ms(created_at), from_ms(updated_at)])
