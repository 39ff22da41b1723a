"""Ingresses: sources that come to us by a stream key, and the WHIP sessions they have open."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("streamhub")

TABLES = (
    """CREATE TABLE ingresses (
        id TEXT PRIMARY KEY CHECK (id GLOB 'IN_*'),
        app_id INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
        input_type TEXT NOT NULL,
        room TEXT NOT NULL,
        room_given TEXT NOT NULL,
        identity TEXT NOT NULL,
        name TEXT,
        key_hash TEXT NOT NULL UNIQUE,
        key_prefix TEXT NOT NULL,
        enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
        created_at INTEGER NOT NULL,
        last_used_at INTEGER
    ) STRICT""",
    "CREATE INDEX ingresses_app ON ingresses (app_id, created_at)",
    # One row per open session; 'id_hash' is the digest of the secret part of its URL, 'resource' its path in LiveKit,
    # whose last part is the participant's sid.
    """CREATE TABLE whip_sessions (
        id_hash TEXT PRIMARY KEY,
        ingress_id TEXT NOT NULL UNIQUE REFERENCES ingresses (id) ON DELETE CASCADE,
        room TEXT NOT NULL,
        identity TEXT NOT NULL,
        resource TEXT NOT NULL,
        etag TEXT NOT NULL,
        mid TEXT NOT NULL,
        ufrag TEXT NOT NULL,
        started_at INTEGER NOT NULL
    ) STRICT""",
)


@migrations()
def m0002_ingress(db: Database) -> None:
    for statement in TABLES:
        db.execute(statement)
