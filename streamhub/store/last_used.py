"""Writes "last used" of tokens and camera keys, many rows at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlite_utils import Database

from streamhub.store.times import to_ms


def write(db: Database, tokens: Mapping[int, datetime], keys: Mapping[str, datetime]) -> None:
    """Set the moments; rows that are gone are ignored."""
    db.conn.executemany(
        "UPDATE api_tokens SET last_used_at = ? WHERE id = ?", [(to_ms(v), k) for k, v in tokens.items()]
    )
    db.conn.executemany(
        "UPDATE camera_keys SET last_used_at = ? WHERE id = ?", [(to_ms(v), k) for k, v in keys.items()]
    )
