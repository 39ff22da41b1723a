"""What SQLite's result codes mean to the person running the server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamhub.errors import StoreError

BUSY_TIMEOUT_S = 5.0  # the text of store_locked says it, too

# Primary result code → (code, message, hint). IntegrityError and mistakes in our SQL are not here: they pass through.
_MEANING: dict[int, tuple[str, str, str]] = {
    sqlite3.SQLITE_NOTADB: (
        "store_not_a_database",
        "{name} is not a database",
        "Move the file away, or restore it from a backup; an empty folder starts afresh.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "store_corrupt",
        "{name} is damaged",
        "Restore it from a backup ('sqlite3 {name} .recover' may save what is left).",
    ),
    sqlite3.SQLITE_BUSY: (
        "store_locked",
        "{name} has been locked by another program for more than five seconds",
        "Close the program that holds the database open for writing, then try again.",
    ),
    sqlite3.SQLITE_READONLY: (
        "store_read_only",
        "{name} cannot be written: it, its folder or the disk is read-only",
        "Give the user StreamHub runs as the right to write the data folder.",
    ),
    sqlite3.SQLITE_PERM: (
        "store_read_only",
        "{name} cannot be used: access is denied",
        "Give the user StreamHub runs as the right to write the data folder.",
    ),
    sqlite3.SQLITE_FULL: (
        "store_full",
        "the disk of {name} is full; nothing of this change was written",
        "Free some space on the disk of the data folder.",
    ),
    sqlite3.SQLITE_IOERR: (
        "store_io",
        "the disk of {name} reports an error; nothing of this change was written",
        "Check the disk's health and free space.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "store_cannot_open",
        "{name} cannot be opened",
        "Check that the data folder exists and that the user StreamHub runs as may use it.",
    ),
}
_MEANING[sqlite3.SQLITE_LOCKED] = _MEANING[sqlite3.SQLITE_BUSY]


def primary_code(exc: sqlite3.Error) -> int:
    """SQLite's primary result code of an error, 0 when the error came from Python's side."""
    return int(getattr(exc, "sqlite_errorcode", 0)) & 0xFF


class Taken(Exception):
    """A value that must be unique is there already, or the row referred to is not."""


@contextmanager
def unique() -> Iterator[None]:
    """Turn a broken constraint into Taken."""
    try:
        yield
    except sqlite3.IntegrityError as exc:
        raise Taken(str(exc)) from exc


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the file and the disk into StoreError; let all others pass."""
    try:
        yield
    except sqlite3.Error as exc:
        meaning = _MEANING.get(primary_code(exc))
        if meaning is None:
            raise
        code, message, hint = meaning
        raise StoreError(message.format(name=path.name), code=code, hint=hint.format(name=path.name)) from exc
