"""Sources that we pull ourselves: their address, sealed with the data folder's key, and how to take them in."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("streamhub")

# 'source' holds user and password; 'url' is what may be shown of it.
STATEMENTS = (
    "ALTER TABLE ingresses ADD COLUMN source BLOB",
    "ALTER TABLE ingresses ADD COLUMN transport TEXT NOT NULL DEFAULT 'auto'",
    "ALTER TABLE ingresses ADD COLUMN on_demand INTEGER NOT NULL DEFAULT 0 CHECK (on_demand IN (0, 1))",
    "ALTER TABLE ingresses ADD COLUMN max_gop_s REAL NOT NULL DEFAULT 0 CHECK (max_gop_s >= 0)",
    "ALTER TABLE ingresses ADD COLUMN max_height INTEGER NOT NULL DEFAULT 0 CHECK (max_height >= 0)",
)


@migrations()
def m0004_relays(db: Database) -> None:
    for statement in STATEMENTS:
        db.execute(statement)
