"""The database file: one writing connection, two reading ones, one that watches for changes.

Every call runs in a worker thread (SQLite blocks) unless another runner is given: unit tests run it inline, because
``autojump_clock`` takes a task waiting for a thread as idle.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import attrs
import trio
from sqlite_utils import Database as Database

from streamhub.errors import StoreError
from streamhub.store.failures import BUSY_TIMEOUT_S, explained, primary_code
from streamhub.store.failures import Taken as Taken
from streamhub.store.migrate import migrate

T = TypeVar("T")
P = ParamSpec("P")
READERS = 2
CLOSE_DEADLINE_S = 5.0


class Runner(Protocol):
    """How a blocking call is made; returns what it returns, raises what it raises, never abandons it half way."""

    async def __call__(self, call: Callable[[], T], limiter: trio.CapacityLimiter) -> T: ...


async def in_thread(call: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
    """Run in a worker thread. If cancelled while it runs, the call is finished first: a commit is never in doubt."""
    return await trio.to_thread.run_sync(call, limiter=limiter, abandon_on_cancel=False)


async def inline(call: Callable[[], T], limiter: trio.CapacityLimiter) -> T:
    """Run right here (unit tests); still a checkpoint, so that no test relies on its absence."""
    async with limiter:
        return call()


@attrs.define(eq=False)
class Store:
    """The open database; made by ``open_store``, which also closes it."""

    path: Path
    _runner: Runner
    _writer: Database
    _watcher: Database
    _readers: list[Database]
    _write_turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    _watch_turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    _read_turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(READERS))

    async def write(self, fn: Callable[Concatenate[Database, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``fn(db, …)`` returns, after its one transaction has been committed to disk.

        An exception of ``fn`` rolls everything back. If cancelled while waiting for its turn, ``fn`` does not run; once
        it runs, it is finished and committed. Raises StoreError for a full, locked or failing disk.
        """
        return await self._runner(partial(self._transact, partial(fn, self._writer, *args, **kwargs)), self._write_turn)

    async def write_soon(self, fn: Callable[Concatenate[Database, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As ``write``, but without waiting for the disk.

        The commit survives our own death; a power cut only once the next ``write`` has returned. For what a client
        waits for and a power cut would end anyway.
        """
        return await self._runner(
            partial(self._transact, partial(fn, self._writer, *args, **kwargs), synced=False), self._write_turn
        )

    async def read(self, fn: Callable[Concatenate[Database, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``fn(db, …)`` returns, seeing one consistent state of the database. ``fn`` cannot write."""
        return await self._runner(partial(self._look, partial(_call, fn, args, kwargs)), self._read_turn)

    async def version(self) -> int:
        """A number that differs from the last answer if anybody, in any process, has committed a change since."""

        def ask() -> int:
            with explained(self.path):
                return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

        return await self._runner(ask, self._watch_turn)

    def _transact(self, call: Callable[[], T], *, synced: bool = True) -> T:
        with explained(self.path):
            if not synced:
                self._writer.execute("PRAGMA synchronous=NORMAL")
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    result = call()
                    self._writer.execute("COMMIT")
                except BaseException:
                    self._writer.rollback()
                    raise
                return result
            finally:
                if not synced:
                    self._writer.execute("PRAGMA synchronous=FULL")

    def _look(self, call: Callable[[Database], T]) -> T:
        db = self._readers.pop()
        try:
            with explained(self.path):
                db.execute("BEGIN")
                try:
                    return call(db)
                finally:
                    db.rollback()
        finally:
            self._readers.append(db)

    def close(self) -> None:
        """Close all connections. Nothing may be running."""
        for db in (*self._readers, self._watcher, self._writer):
            db.close()


def _call(fn: Callable[..., T], args: tuple[object, ...], kwargs: dict[str, object], db: Database) -> T:
    return fn(db, *args, **kwargs)


@asynccontextmanager
async def open_store(path: Path, *, runner: Runner = in_thread) -> AsyncIterator[Store]:
    """The store of a database file, made and migrated if need be; closed at the end.

    Raises StoreError: not a database, locked, read-only, full, or made by a newer StreamHub.
    """
    opening = trio.CapacityLimiter(1)
    store = await runner(partial(_open, path, runner), opening)
    try:
        yield store
    finally:
        with trio.move_on_after(CLOSE_DEADLINE_S, shield=True):
            await runner(store.close, store._write_turn)


def _open(path: Path, runner: Runner) -> Store:
    opened: list[Database] = []
    try:
        with explained(path):
            opened.append(_connect_writer(path))
            migrate(opened[0])
            opened.extend(_connect(path, readonly=True) for _ in range(READERS + 1))
    except BaseException:
        for db in opened:
            db.close()
        raise
    writer, watcher, *readers = opened
    return Store(path, runner, writer, watcher, readers)


def _connect_writer(path: Path) -> Database:
    try:
        # Made by us, not by SQLite: it holds digests and sealed secrets, so only its owner may read it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except PermissionError:
        raise StoreError(f"{path.name} cannot be written: access is denied", code="store_read_only") from None
    except OSError as exc:
        raise StoreError(f"{path.name} cannot be opened: {exc.strerror}", code="store_cannot_open") from None
    db = _connect(path)
    try:
        _enable_wal(db)
        # FULL: a commit that was answered survives a power cut, not only a crash of ours.
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        db.close()
        raise
    return db


def _connect(path: Path, *, readonly: bool = False) -> Database:
    connection = sqlite3.connect(
        path.absolute().as_uri() + ("?mode=ro" if readonly else ""),
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        # The runner's threads take turns; the limiters keep it to one at a time.
        check_same_thread=False,
        isolation_level=None,
    )
    return Database(connection)


def _enable_wal(db: Database) -> None:
    # SQLite does not wait (busy_timeout) when two processes make the very first switch to WAL together.
    give_up_at = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL").fetchone()
            return
        except sqlite3.OperationalError as exc:
            if primary_code(exc) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.02)
