"""Ingresses that LiveKit's own service takes in: its id for them, and which of its are to be removed."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("streamhub")

STATEMENTS = (
    # 'url' is as it may be shown: where LiveKit says its encoder goes, or what it pulls, without credentials.
    "ALTER TABLE ingresses ADD COLUMN livekit_id TEXT",
    "ALTER TABLE ingresses ADD COLUMN url TEXT",
    "ALTER TABLE ingresses ADD COLUMN transcoding INTEGER CHECK (transcoding IN (0, 1))",
    "CREATE UNIQUE INDEX ingresses_livekit ON ingresses (livekit_id) WHERE livekit_id IS NOT NULL",
    # However a row goes (with its app, by a command beside the server), LiveKit's ingress must follow; LiveKit may be
    # away at that moment.
    "CREATE TABLE livekit_removals (livekit_id TEXT PRIMARY KEY) STRICT",
    """CREATE TRIGGER ingresses_deleted AFTER DELETE ON ingresses WHEN OLD.livekit_id IS NOT NULL
    BEGIN INSERT OR IGNORE INTO livekit_removals VALUES (OLD.livekit_id); END""",
    """CREATE TRIGGER ingresses_exchanged AFTER UPDATE OF livekit_id ON ingresses
    WHEN OLD.livekit_id IS NOT NULL AND OLD.livekit_id IS NOT NEW.livekit_id
    BEGIN INSERT OR IGNORE INTO livekit_removals VALUES (OLD.livekit_id); END""",
)


@migrations()
def m0003_livekit_ingress(db: Database) -> None:
    for statement in STATEMENTS:
        db.execute(statement)
