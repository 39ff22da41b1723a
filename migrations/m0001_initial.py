"""First schema. Times are milliseconds since 1970 in UTC; the tables are STRICT, which sqlite-utils cannot say together
with CHECK and ON DELETE, hence plain SQL.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("streamhub")

TABLES = (
    # Facts about this installation: what the first run has done, sealed server-side keys.
    """CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE apps (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        room_prefix TEXT NOT NULL UNIQUE,
        features_json TEXT NOT NULL,
        callback_url TEXT,
        callback_secret BLOB,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE api_tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        token_hash TEXT NOT NULL UNIQUE,
        key_prefix TEXT NOT NULL,
        scope TEXT NOT NULL CHECK (scope IN ('global', 'app')),
        app_id INTEGER REFERENCES apps (id) ON DELETE CASCADE,
        rights_json TEXT NOT NULL,
        allowed_ips_json TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        last_used_at INTEGER,
        revoked_at INTEGER,
        CHECK ((scope = 'app') = (app_id IS NOT NULL))
    ) STRICT""",
    "CREATE INDEX api_tokens_app ON api_tokens (app_id)",
    """CREATE TABLE camera_keys (
        id TEXT PRIMARY KEY CHECK (id GLOB 'wsi_*'),
        app_id INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
        room TEXT NOT NULL,
        room_given TEXT NOT NULL,
        identity TEXT NOT NULL,
        key_hash TEXT NOT NULL UNIQUE,
        key_prefix TEXT NOT NULL,
        idle_timeout_s INTEGER NOT NULL,
        takeover INTEGER NOT NULL CHECK (takeover IN (0, 1)),
        created_at INTEGER NOT NULL,
        last_used_at INTEGER
    ) STRICT""",
    "CREATE INDEX camera_keys_app ON camera_keys (app_id, created_at)",
    """CREATE TABLE streams (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        app_id INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
        stream_id TEXT NOT NULL,
        type TEXT NOT NULL,
        room TEXT NOT NULL,
        participant TEXT,
        key_id TEXT,
        state TEXT NOT NULL CHECK (state IN ('connecting', 'live', 'stale', 'ended')),
        state_since INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        end_reason TEXT,
        last_stats_json TEXT,
        UNIQUE (app_id, stream_id),
        CHECK ((state = 'ended') = (ended_at IS NOT NULL))
    ) STRICT""",
    "CREATE INDEX streams_active ON streams (app_id, started_at) WHERE ended_at IS NULL",
    "CREATE INDEX streams_last_seen ON streams (app_id, room, ended_at)",
)


@migrations()
def m0001_initial(db: Database) -> None:
    for statement in TABLES:
        db.execute(statement)
