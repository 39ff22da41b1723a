from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
from sqlite_utils import Database

from streamhub.store import apps as app_rows
from streamhub.store import ingress as rows
from streamhub.store.db import Store
from streamhub.store.ingress import IngressRow
from streamhub.store.migrate import migrate, migrations_folder

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def row(name: str, kind: str = "rtsp", **more: object) -> IngressRow:
    made = IngressRow(f"IN_{name}", 1, kind, "live", "live", name, None, f"no key: {name}", "", True, AT)
    return attrs.evolve(made, **more)  # type: ignore[arg-type]


@pytest.fixture
async def db_store(store: Store) -> Store:
    await store.write(
        lambda db: app_rows.insert(db, name="live", display_name="L", room_prefix="live", features_json="{}", at=AT)
    )
    return store


def test_migrate_when_there_are_rows_then_they_stay_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "before"
    folder.mkdir()
    for path in sorted(migrations_folder().glob("m000[123]_*.py")):
        (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    db = Database(sqlite3.connect(tmp_path / "s.db", isolation_level=None))
    migrate(db, folder)
    app_rows.insert(db, name="live", display_name="L", room_prefix="live", features_json="{}", at=AT)
    db.execute(
        "INSERT INTO ingresses (id, app_id, input_type, room, room_given, identity, key_hash, key_prefix, enabled,"
        " created_at, livekit_id, url) VALUES ('IN_1', 1, 'url', 'live', 'live', 'me', 'x', '', 1, 0, 'IN_lk', 'http://x')"
    )
    assert migrate(db) == ["m0004_relays"]
    one = rows.find(db, "IN_1")
    assert one is not None
    assert (one.url, one.source, one.transport, one.on_demand, one.max_gop_s, one.max_height) == (
        *("http://x", None, "auto", False, 0.0, 0),
    )
    assert rows.pulled_here(db) == []
    assert rows.relayed_here(db) == []
    db.close()


async def test_insert_and_update_then_found_as_written(db_store: Store) -> None:
    one = row("a", source=b"\x00sealed", url="rtsp://***@cam/1", transport="udp", on_demand=True, max_gop_s=2.5)
    await db_store.write(rows.insert, one)
    assert await db_store.read(rows.find, one.id) == one
    two = attrs.evolve(one, source=b"other", name="Door", on_demand=False, max_height=480, enabled=False)
    await db_store.write(rows.update, two)
    assert await db_store.read(rows.find, one.id) == two
    assert "sealed" not in repr(one)


async def test_pulled_and_relayed_then_only_those_that_we_take_in(db_store: Store) -> None:
    for one in (
        row("pull", source=b"x"),
        row("off", source=b"x", enabled=False),
        row("push", "rtmp"),
        row("whip", "whip"),
        row("there", "url", livekit_id="IN_lk"),
    ):
        await db_store.write(rows.insert, one)
    assert [r.id for r in await db_store.read(rows.pulled_here)] == ["IN_pull"]
    assert await db_store.read(rows.relayed_here) == ["IN_pull", "IN_off", "IN_push"]
    assert await db_store.read(rows.relayed_here, 2) == []
