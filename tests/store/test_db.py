from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
import trio
from sqlite_utils import Database

from streamhub.errors import StoreError
from streamhub.store import db as db_module
from streamhub.store import meta
from streamhub.store.db import open_store


def pragma(db: Database, name: str) -> object:
    return db.execute(f"PRAGMA {name}").fetchone()[0]


def bump(db: Database, key: str) -> int:
    """A write that loses counts if two of them overlap."""
    value = int(meta.get(db, key) or 0) + 1
    meta.put(db, key, str(value))
    return value


async def test_open_store_when_new_then_settings_survive_a_power_cut(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db") as store:
        assert await store.write(pragma, "journal_mode") == "wal"
        assert await store.write(pragma, "synchronous") == 2  # FULL
        assert await store.write(pragma, "foreign_keys") == 1
        assert await store.write(pragma, "busy_timeout") == 5000
        assert await store.read(pragma, "busy_timeout") == 5000


async def test_write_soon_then_it_alone_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db") as store:
        assert await store.write_soon(pragma, "synchronous") == 1  # NORMAL
        assert await store.write(pragma, "synchronous") == 2
        with pytest.raises(ZeroDivisionError):
            await store.write_soon(lambda _db: 1 / 0)
        assert await store.write(pragma, "synchronous") == 2
        await store.write_soon(meta.put, "a", "1")
        # Another process sees it at once, so that it outlives this one.
        async with open_store(tmp_path / "s.db") as other:
            assert await other.read(meta.get, "a") == "1"


async def test_open_store_when_new_then_only_its_owner_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        async with open_store(tmp_path / "s.db") as store:
            await store.write(meta.put, "a", "1")
            for path in tmp_path.iterdir():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    finally:
        os.umask(old)


async def test_every_table_is_strict(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db") as store:
        rows = await store.read(
            lambda db: db.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
        )
    ours = {name: strict for name, strict in rows if not name.startswith(("sqlite_", "_sqlite"))}
    assert set(ours) == {
        "meta",
        "apps",
        "api_tokens",
        "camera_keys",
        "streams",
        "ingresses",
        "whip_sessions",
        "livekit_removals",
    }
    assert set(ours.values()) == {1}


async def test_write_when_many_at_once_then_none_is_lost(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db") as store:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(store.write, bump, "n")
                    nursery.start_soon(store.read, meta.get, "n")
        assert await store.read(meta.get, "n") == "200"


async def test_write_when_two_stores_share_the_file_then_none_is_lost(tmp_path: Path) -> None:
    async def write_many(store: db_module.Store) -> None:
        for _ in range(50):
            await store.write(bump, "n")

    async with open_store(tmp_path / "s.db") as one, open_store(tmp_path / "s.db") as other:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write_many, one)
                nursery.start_soon(write_many, other)
        assert await one.read(meta.get, "n") == "100"


async def test_write_when_the_function_fails_then_nothing_of_it_stays(tmp_path: Path) -> None:
    def half(db: Database) -> None:
        meta.put(db, "a", "1")
        raise RuntimeError("no")

    async with open_store(tmp_path / "s.db") as store:
        with pytest.raises(RuntimeError):
            await store.write(half)
        assert await store.read(meta.get, "a") is None
        await store.write(meta.put, "a", "2")
        assert await store.read(meta.get, "a") == "2"


async def test_write_when_cancelled_while_running_then_it_is_committed(tmp_path: Path) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(db: Database) -> None:
        meta.put(db, "a", "1")
        running.set()
        assert go_on.wait(10)

    async with open_store(tmp_path / "s.db") as store:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.write, slow)
                await trio.to_thread.run_sync(running.wait)
                nursery.cancel_scope.cancel()
                go_on.set()
            assert await store.read(meta.get, "a") == "1"
            await store.write(bump, "n")


async def test_write_when_cancelled_while_waiting_then_it_never_runs(tmp_path: Path) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(db: Database) -> None:
        running.set()
        assert go_on.wait(10)

    async with open_store(tmp_path / "s.db") as store:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.write, slow)
                await trio.to_thread.run_sync(running.wait)
                with trio.move_on_after(0) as scope:
                    await store.write(meta.put, "late", "1")
                assert scope.cancelled_caught
                go_on.set()
            assert await store.read(meta.get, "late") is None


async def test_read_when_cancelled_then_its_connection_is_not_shared_early(tmp_path: Path) -> None:
    """Cancelled readers must not leave their connection to the next one while their thread still uses it."""
    busy: set[int] = set()
    overlaps: list[int] = []
    both_in, go_on = threading.Barrier(3), threading.Event()

    def slow(db: Database) -> None:
        if id(db) in busy:
            overlaps.append(id(db))
        busy.add(id(db))
        both_in.wait(10)
        assert go_on.wait(10)
        busy.discard(id(db))

    def quick(db: Database) -> None:
        if id(db) in busy:
            overlaps.append(id(db))

    async with open_store(tmp_path / "s.db") as store:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.read, slow)
                nursery.start_soon(store.read, slow)
                await trio.to_thread.run_sync(both_in.wait)
                nursery.cancel_scope.cancel()
                go_on.set()
            await store.read(quick)
            await store.read(quick)
    assert not overlaps


async def test_read_when_the_function_writes_then_it_is_refused(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db") as store:
        with pytest.raises(StoreError) as caught:
            await store.read(meta.put, "a", "1")
        assert caught.value.code == "store_read_only"
        assert await store.read(meta.get, "a") is None


async def test_version_when_anybody_commits_then_it_differs(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db") as store, open_store(tmp_path / "s.db") as other:
        first = await store.version()
        assert await store.version() == first
        await store.write(meta.put, "a", "1")
        second = await store.version()
        assert second != first
        await other.write(meta.put, "a", "2")
        assert await store.version() != second


async def test_open_store_when_the_path_looks_like_a_uri_then_that_file_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "a?mode=memory#b %41"
    folder.mkdir()
    async with open_store(folder / "s.db") as store:
        await store.write(meta.put, "a", "1")
    async with open_store(folder / "s.db") as store:
        assert await store.read(meta.get, "a") == "1"
    assert (folder / "s.db").is_file()


async def test_open_store_when_it_is_not_a_database_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_bytes(b"this is a text, long enough to be taken for a header" * 50)
    with pytest.raises(StoreError) as caught:
        async with open_store(tmp_path / "s.db"):
            pass
    assert caught.value.code == "store_not_a_database"
    assert "s.db" in caught.value.message


async def test_open_store_when_the_folder_is_missing_then_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        async with open_store(tmp_path / "no" / "s.db"):
            pass
    assert caught.value.code == "store_cannot_open"


async def test_open_store_when_the_file_is_a_folder_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "s.db").mkdir()
    with pytest.raises(StoreError) as caught:
        async with open_store(tmp_path / "s.db"):
            pass
    assert caught.value.code == "store_cannot_open"


async def test_write_when_another_program_holds_the_lock_then_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_module, "BUSY_TIMEOUT_S", 0.05)
    async with open_store(tmp_path / "s.db") as store:
        blocker = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            await store.write(meta.put, "a", "1")
        assert caught.value.code == "store_locked"
        assert caught.value.status == 503
        blocker.execute("ROLLBACK")
        blocker.close()
        await store.write(meta.put, "a", "1")


async def test_write_when_the_disk_is_full_then_it_says_so_and_goes_on_later(tmp_path: Path) -> None:
    async with open_store(tmp_path / "s.db") as store:
        pages = await store.read(pragma, "page_count")
        # The nearest thing to a full disk that needs no root.
        await store.write(pragma, f"max_page_count={pages}")
        with pytest.raises(StoreError) as caught:
            await store.write(meta.put, "big", "x" * 200_000)
        assert caught.value.code == "store_full"
        await store.write(pragma, "max_page_count=1000000")
        await store.write(meta.put, "big", "x" * 200_000)


async def test_open_store_when_two_start_together_then_both_work(tmp_path: Path) -> None:
    opened = []

    async def start() -> None:
        async with open_store(tmp_path / "s.db") as store:
            opened.append(await store.read(meta.size_bytes))

    for round_ in range(5):
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(start)
        assert len(opened) == 4 * (round_ + 1)
        for path in tmp_path.iterdir():
            path.unlink()
