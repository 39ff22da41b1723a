"""Brings a database to this program's schema, and refuses one that is ahead of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from sqlite_utils import Database, Migrations

from streamhub.errors import StoreError

SET_NAME = "streamhub"
_PACKAGE = Path(__file__).resolve().parent.parent


def migrations_folder() -> Path:
    """Where the migration files are: inside the installed package, or beside it in a checkout."""
    for folder in (_PACKAGE / "migrations", _PACKAGE.parent / "migrations"):
        if folder.is_dir():
            return folder
    raise StoreError("the migration files are missing from this installation", hint="Install StreamHub again.")


def load_migrations(folder: Path | None = None) -> list[Migrations]:
    """The migration sets of all files ``mNNNN_*.py``, in the order of their names."""
    sets = []
    for path in sorted((folder or migrations_folder()).glob("m[0-9]*.py")):
        spec = importlib.util.spec_from_file_location(f"streamhub_migration_{path.stem}", path)
        if spec is None or spec.loader is None:
            raise StoreError(f"cannot load the migration {path.name}", hint="Install StreamHub again.")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sets.append(module.migrations)
    return sets


def pending(db: Database, sets: Sequence[Migrations]) -> list[str]:
    """Names of the migrations still to apply. Raises StoreError if the database knows ones we do not."""
    known = {m.name for one in sets for m in one._migrations}
    applied = [m.name for m in Migrations(SET_NAME).applied(db)]
    ahead = [name for name in applied if name not in known]
    if ahead:
        written_by = _program_version(db)
        raise StoreError(
            f"the database is newer than this program: it has the migration {ahead[-1]}"
            + (f", made by StreamHub {written_by}" if written_by else ""),
            code="store_too_new",
            hint="Upgrade StreamHub, or restore the backup made before the upgrade.",
        )
    return [m.name for one in sets for m in one.pending(db)]


def migrate(db: Database, folder: Path | None = None) -> list[str]:
    """Apply what is pending and return its names.

    All of it is one transaction, taken before looking a second time: of two processes starting together one
    migrates and the other finds nothing to do.
    """
    sets = load_migrations(folder)
    if not pending(db, sets):
        return []
    db.execute("BEGIN IMMEDIATE")
    try:
        names = pending(db, sets)
        for one in sets:
            one.apply(db)
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise
    return names


def _program_version(db: Database) -> str | None:
    if "meta" not in db.table_names():
        return None
    row = db.execute("SELECT value FROM meta WHERE key = 'program_version'").fetchone()
    return str(row[0]) if row else None
