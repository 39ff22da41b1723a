from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from streamhub.errors import StoreError
from streamhub.store import meta
from streamhub.store.db import open_store
from streamhub.store.migrate import load_migrations, migrate, migrations_folder, pending

SECOND = """
from sqlite_utils import Migrations
migrations = Migrations("streamhub")

@migrations()
def m9999_more(db):
    db.execute("CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT")
    {then}
"""


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A folder of migrations with one more than this version has."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for path in migrations_folder().glob("m*.py"):
        (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    (folder / "m9999_more.py").write_text(SECOND.format(then="pass"))
    return folder


def open_raw(path: Path) -> Database:
    return Database(sqlite3.connect(path, isolation_level=None))


def test_load_migrations_then_they_come_in_the_order_of_their_files(newer: Path) -> None:
    names = [m.name for one in load_migrations(newer) for m in one._migrations]
    assert names == sorted(names)
    assert names[0] == "m0001_initial"
    assert "m9999_more" in names


def test_migrate_when_run_again_then_nothing_happens(tmp_path: Path) -> None:
    db = open_raw(tmp_path / "s.db")
    assert migrate(db) == ["m0001_initial", "m0002_ingress", "m0003_livekit_ingress", "m0004_relays"]
    schema = db.schema
    assert migrate(db) == []
    assert db.schema == schema
    db.close()


def test_migrate_when_the_database_is_older_then_only_the_new_ones_run(tmp_path: Path, newer: Path) -> None:
    db = open_raw(tmp_path / "s.db")
    migrate(db)
    meta.put(db, "kept", "yes")
    assert migrate(db, newer) == ["m9999_more"]
    assert meta.get(db, "kept") == "yes"
    db.close()


def test_migrate_when_a_migration_fails_then_the_database_is_as_before(tmp_path: Path, newer: Path) -> None:
    db = open_raw(tmp_path / "s.db")
    migrate(db)
    (newer / "m9999_more.py").write_text(SECOND.format(then="raise RuntimeError('no')"))
    before = db.schema
    with pytest.raises(RuntimeError):
        migrate(db, newer)
    assert db.schema == before
    assert pending(db, load_migrations(newer)) == ["m9999_more"]
    db.close()


async def test_open_store_when_the_database_is_newer_then_it_is_refused_with_what_to_do(
    tmp_path: Path, newer: Path
) -> None:
    db = open_raw(tmp_path / "s.db")
    migrate(db, newer)
    meta.put(db, "program_version", "9.9.9")
    db.close()
    before = (tmp_path / "s.db").read_bytes()
    with pytest.raises(StoreError) as caught:
        async with open_store(tmp_path / "s.db"):
            pass
    assert caught.value.code == "store_too_new"
    assert "m9999_more" in caught.value.message
    assert "9.9.9" in caught.value.message
    assert "Upgrade" in caught.value.hint
    assert "backup" in caught.value.hint
    # Only the journal mode of the file may have been touched: not one page of data.
    assert (tmp_path / "s.db").read_bytes()[100:] == before[100:]
