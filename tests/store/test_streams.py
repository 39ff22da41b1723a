from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlite_utils import Database

from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import (
    State,
    StatsReported,
    StreamChanged,
    StreamEnded,
    StreamEvent,
    StreamStarted,
    StreamType,
)
from streamhub.store import apps, streams
from streamhub.store.migrate import migrate

T0 = datetime(2026, 11, 23, 12, 0, 0, 5000, tzinfo=UTC)
KEY = RoomKey(AppName("live"), RoomName("live-cam1"))
ID = "live-cam1/cam"


@pytest.fixture
def db() -> Iterator[Database]:
    opened = Database(memory=True)
    opened.execute("PRAGMA foreign_keys=ON")
    migrate(opened)
    apps.insert(opened, name="live", display_name="Live", room_prefix="live", features_json="{}", at=T0)
    yield opened
    opened.close()


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def started(seconds: float = 0, **changes: object) -> StreamStarted:
    values: dict[str, object] = {"room": KEY, "stream_id": ID, "type": StreamType.WS_MJPEG, "participant": "cam"}
    return StreamStarted(**(values | {"at": at(seconds), "key_id": "wsi_1"} | changes))  # type: ignore[arg-type]


def ended(seconds: float, reason: str = "closed") -> StreamEnded:
    return StreamEnded(KEY, ID, reason, at(seconds))


def changed(seconds: float, state: State) -> StreamChanged:
    return StreamChanged(KEY, ID, state, at(seconds))


def row(db: Database) -> streams.StreamRow:
    found = streams.by_stream_id(db, 1, ID)
    assert found is not None
    return found


def test_start_when_new_then_an_active_row(db: Database) -> None:
    event = started()
    assert streams.apply_events(db, [event]) == [event]
    found = row(db)
    assert (found.type, found.room, found.participant, found.key_id) == ("ws-mjpeg", "live-cam1", "cam", "wsi_1")
    assert (found.state, found.started_at, found.ended_at) == ("connecting", T0, None)


def test_start_when_active_then_started_at_stays_and_nothing_is_reported(db: Database) -> None:
    streams.apply_events(db, [started(), changed(1, State.LIVE)])
    assert streams.apply_events(db, [started(5, key_id="wsi_2")]) == []
    found = row(db)
    assert (found.started_at, found.state, found.key_id) == (T0, "live", "wsi_2")


def test_start_when_ended_then_a_new_publication(db: Database) -> None:
    streams.apply_events(db, [started(), StatsReported(KEY, ID, '{"rssi":-60}', at(1)), ended(2)])
    again = started(10)
    assert streams.apply_events(db, [again]) == [again]
    found = row(db)
    assert (found.started_at, found.ended_at, found.end_reason, found.state) == (at(10), None, None, "connecting")
    assert found.last_stats_json is None


def test_change_when_active_then_state_and_since(db: Database) -> None:
    live, again, stale = changed(1, State.LIVE), changed(2, State.LIVE), changed(3, State.STALE)
    assert streams.apply_events(db, [started(), live, again, stale])[1:] == [live, stale]
    assert (row(db).state, row(db).state_since) == ("stale", at(3))


@pytest.mark.parametrize("late", [changed(9, State.LIVE), StatsReported(KEY, ID, "{}", at(9)), ended(9, "again")])
def test_events_when_ended_then_ignored(db: Database, late: StreamEvent) -> None:
    streams.apply_events(db, [started(), ended(5)])
    before = row(db)
    assert streams.apply_events(db, [late]) == []
    assert row(db) == before
    assert (before.state, before.end_reason, before.ended_at) == ("ended", "closed", at(5))


def test_events_when_the_app_is_gone_then_ignored(db: Database) -> None:
    elsewhere = RoomKey(AppName("gone"), RoomName("gone-cam1"))
    assert streams.apply_events(db, [started(room=elsewhere), StreamEnded(elsewhere, ID, "closed", T0)]) == []
    assert streams.count_active(db) == 0


def test_stats_when_active_then_the_newest_text(db: Database) -> None:
    streams.apply_events(db, [started(), *(StatsReported(KEY, ID, f'{{"n":{n}}}', at(n)) for n in (1, 2))])
    assert row(db).last_stats_json == '{"n":2}'


def test_last_seen_when_several_cameras_then_the_newest_end(db: Database) -> None:
    unseen = RoomKey(AppName("live"), RoomName("live-cam2"))
    assert streams.last_seen(db, [KEY, unseen]) == {}
    other = {"stream_id": "live-cam1/other", "participant": "other"}
    streams.apply_events(db, [started(), started(1, **other), ended(7)])
    streams.apply_events(db, [StreamEnded(KEY, "live-cam1/other", "closed", at(3))])
    assert streams.last_seen(db, [unseen, KEY]) == {KEY: at(7)}


def test_end_all_active_then_only_active_ones_change(db: Database) -> None:
    streams.apply_events(db, [started(), ended(1), started(2, stream_id="live-cam1/b"), started(3, stream_id="x/c")])
    assert streams.end_all_active(db, at(60), "server_restart") == 2
    assert streams.end_all_active(db, at(61), "server_restart") == 0
    assert row(db).end_reason == "closed"
    second = streams.by_stream_id(db, 1, "x/c")
    assert second is not None
    assert (second.end_reason, second.ended_at) == ("server_restart", at(60))


def test_active_page_then_newest_start_first(db: Database) -> None:
    streams.apply_events(db, [started(n, stream_id=f"live-cam{n}/c") for n in range(5)])
    streams.apply_events(db, [StreamEnded(KEY, "live-cam4/c", "closed", at(9))])
    found, total = streams.active_page(db, 1, 2, 1)
    assert total == 4
    assert [r.stream_id for r in found] == ["live-cam2/c", "live-cam1/c"]


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT * FROM streams WHERE app_id = 1 AND ended_at IS NULL ORDER BY started_at DESC", "streams_active"),
        ("SELECT max(ended_at) FROM streams WHERE app_id = 1 AND room = 'x'", "streams_last_seen"),
        ("SELECT * FROM camera_keys WHERE key_hash = 'x'", "sqlite_autoindex_camera_keys"),
        ("SELECT * FROM api_tokens WHERE token_hash = 'x'", "sqlite_autoindex_api_tokens"),
        ("SELECT * FROM camera_keys WHERE app_id = 1 ORDER BY created_at DESC", "camera_keys_app"),
    ],
)
def test_frequent_questions_then_an_index_answers_them(db: Database, sql: str, index: str) -> None:
    plan = " ".join(str(r[3]) for r in db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
    assert index in plan
    assert "TEMP B-TREE" not in plan or "RIGHT PART" in plan
