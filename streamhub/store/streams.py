"""Rows of ``streams``: what the ledger's events make of them, and the questions about them."""

# ruff: noqa: S608 - only constants of this module are put into SQL; values are always bound.

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlite_utils import Database

from streamhub.model.names import RoomKey
from streamhub.model.streams import StatsReported, StreamChanged, StreamEnded, StreamEvent, StreamStarted
from streamhub.store.times import from_ms, to_ms

_COLUMNS = (
    "id, app_id, stream_id, type, room, participant, key_id, state, end_reason, last_stats_json,"
    " state_since, started_at, ended_at"
)


@attrs.frozen
class StreamRow:
    """One stream as stored: its latest publication."""

    id: int
    app_id: int
    stream_id: str
    type: str
    room: str
    participant: str | None
    key_id: str | None
    state: str
    end_reason: str | None
    last_stats_json: str | None
    state_since: datetime
    started_at: datetime
    ended_at: datetime | None


def apply_events(db: Database, events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """Change the rows as the events say, in their order, and return those events that changed something.

    A start of an active stream (a camera replacing its own connection) keeps ``started_at`` and is not returned; of an
    ended one it begins a new publication. Events of an unknown app, and ends of ended streams, are ignored.
    """
    app_ids: dict[str, int | None] = {}
    return [event for event in events if _apply(db, _app_id(db, app_ids, event.room.app), event)]


def last_seen(db: Database, keys: Sequence[RoomKey]) -> dict[RoomKey, datetime]:
    """When each room's newest publication ended; rooms that never had one are left out."""
    found: dict[RoomKey, datetime] = {}
    for key in keys:
        (ms,) = db.execute(
            "SELECT max(s.ended_at) FROM streams s JOIN apps a ON a.id = s.app_id WHERE a.name = ? AND s.room = ?",
            [key.app, key.room],
        ).fetchone()
        if (ended := from_ms(ms)) is not None:
            found[key] = ended
    return found


def end_all_active(db: Database, at: datetime, reason: str) -> int:
    """End every active stream (after a crash nobody else will); returns how many."""
    return db.execute(
        "UPDATE streams SET state = 'ended', state_since = :at, ended_at = :at, end_reason = :reason"
        " WHERE ended_at IS NULL",
        {"at": to_ms(at), "reason": reason},
    ).rowcount


def by_stream_id(db: Database, app_id: int, stream_id: str) -> StreamRow | None:
    """The stream, active or ended."""
    sql = f"SELECT {_COLUMNS} FROM streams WHERE app_id = ? AND stream_id = ?"
    found = db.execute(sql, [app_id, stream_id]).fetchone()
    return None if found is None else _row(found)


def by_id(db: Database, app_id: int, row_id: int) -> StreamRow | None:
    """The stream with that row id, if it is the app's."""
    found = db.execute(f"SELECT {_COLUMNS} FROM streams WHERE app_id = ? AND id = ?", [app_id, row_id]).fetchone()
    return None if found is None else _row(found)


def active_page(db: Database, app_id: int, limit: int, offset: int) -> tuple[list[StreamRow], int]:
    """A page of the app's active streams, newest start first, and how many there are."""
    total = count_active(db, app_id)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM streams WHERE app_id = ? AND ended_at IS NULL"
        " ORDER BY started_at DESC, id DESC LIMIT ? OFFSET ?",
        [app_id, limit, offset],
    )
    return [_row(r) for r in rows.fetchall()], total


def count_active(db: Database, app_id: int | None = None) -> int:
    """How many streams are active, in one app or in all."""
    where, args = ("AND app_id = ?", [app_id]) if app_id is not None else ("", [])
    return int(db.execute(f"SELECT count(*) FROM streams WHERE ended_at IS NULL {where}", args).fetchone()[0])


def newest_time(db: Database) -> datetime | None:
    """The latest moment any stream changed its state; None if there is no stream."""
    ms: int | None = db.execute("SELECT max(state_since) FROM streams").fetchone()[0]
    return from_ms(ms)


def _app_id(db: Database, known: dict[str, int | None], name: str) -> int | None:
    if name not in known:
        found = db.execute("SELECT id FROM apps WHERE name = ?", [name]).fetchone()
        known[name] = None if found is None else int(found[0])
    return known[name]


def _apply(db: Database, app_id: int | None, event: StreamEvent) -> bool:
    if app_id is None:
        return False
    if isinstance(event, StreamStarted):
        return _start(db, app_id, event)
    change, value = _change(event)
    cursor = db.execute(
        f"UPDATE streams SET {change} AND app_id = :app AND stream_id = :stream AND ended_at IS NULL",
        {"app": app_id, "stream": event.stream_id, "value": value, "at": to_ms(event.at)},
    )
    return cursor.rowcount > 0


def _change(event: StreamChanged | StatsReported | StreamEnded) -> tuple[str, str]:
    match event:
        case StreamChanged():
            return "state = :value, state_since = :at WHERE state != :value", event.state.value
        case StatsReported():
            return "last_stats_json = :value WHERE true", event.stats_json
        case StreamEnded():
            return "state = 'ended', state_since = :at, ended_at = :at, end_reason = :value WHERE true", event.reason


def _start(db: Database, app_id: int, event: StreamStarted) -> bool:
    values = {
        "app": app_id,
        "stream": event.stream_id,
        "type": event.type.value,
        "room": event.room.room,
        "participant": event.participant,
        "key": event.key_id,
        "at": to_ms(event.at),
    }
    continued = db.execute(
        "UPDATE streams SET type = :type, participant = :participant, key_id = :key"
        " WHERE app_id = :app AND stream_id = :stream AND ended_at IS NULL",
        {k: values[k] for k in ("app", "stream", "type", "participant", "key")},
    )
    if continued.rowcount > 0:
        return False
    db.execute(
        "INSERT INTO streams (app_id, stream_id, type, room, participant, key_id, state, state_since, started_at)"
        " VALUES (:app, :stream, :type, :room, :participant, :key, 'connecting', :at, :at)"
        " ON CONFLICT (app_id, stream_id) DO UPDATE SET type = excluded.type, room = excluded.room,"
        " participant = excluded.participant, key_id = excluded.key_id, state = 'connecting',"
        " state_since = excluded.state_since, started_at = excluded.started_at, ended_at = NULL, end_reason = NULL,"
        " last_stats_json = NULL",
        values,
    )
    return True


def _row(values: Sequence[Any]) -> StreamRow:
    *head, state_since, started_at, ended_at = values
    return StreamRow(*[*head, from_ms(state_since), from_ms(started_at), from_ms(ended_at)])
