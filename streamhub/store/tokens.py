"""Rows of ``api_tokens``. Only digests of tokens are stored."""

# ruff: noqa: S608 - only constants of this module are put into SQL; values are always bound.

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlite_utils import Database

from streamhub.store.failures import unique
from streamhub.store.times import from_ms, to_ms

_SELECT = (
    "SELECT t.id, t.name, t.token_hash, t.key_prefix, t.scope, t.app_id, a.name, t.rights_json, t.allowed_ips_json,"
    " t.created_at, t.expires_at, t.last_used_at, t.revoked_at"
    " FROM api_tokens t LEFT JOIN apps a ON a.id = t.app_id"
)
_LIVE_ADMIN = (
    "scope = 'global' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"
    " AND EXISTS (SELECT 1 FROM json_each(rights_json) WHERE value = 'manage')"
)


@attrs.frozen
class TokenRow:
    """One token as stored; ``app_id`` and ``app`` are set exactly when the scope is ``app``."""

    id: int
    name: str
    token_hash: str
    key_prefix: str
    scope: str
    app_id: int | None
    app: str | None
    rights: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


def insert(
    db: Database,
    *,
    name: str,
    token_hash: str,
    key_prefix: str,
    scope: str,
    app_id: int | None,
    rights: Sequence[str],
    allowed_ips: Sequence[str],
    at: datetime,
    expires_at: datetime | None,
) -> TokenRow:
    """Add a token. Raises Taken if its digest is there already, or the app is not."""
    with unique():
        cursor = db.execute(
            "INSERT INTO api_tokens (name, token_hash, key_prefix, scope, app_id, rights_json, allowed_ips_json,"
            " created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                name,
                token_hash,
                key_prefix,
                scope,
                app_id,
                json.dumps(list(rights)),
                json.dumps(list(allowed_ips)),
                to_ms(at),
                None if expires_at is None else to_ms(expires_at),
            ],
        )
    row = by_id(db, int(cursor.lastrowid or 0))
    assert row is not None
    return row


def make_admin(db: Database, token_id: int) -> None:
    """Make a token valid again, everywhere, for everything, for ever."""
    db.execute(
        "UPDATE api_tokens SET scope = 'global', app_id = NULL, rights_json = ?, allowed_ips_json = '[]',"
        " expires_at = NULL, revoked_at = NULL WHERE id = ?",
        [json.dumps(["read", "publish", "manage"]), token_id],
    )


def revoke(db: Database, token_id: int, at: datetime) -> None:
    """Mark as revoked; the first moment stays."""
    db.execute("UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", [to_ms(at), token_id])


def by_id(db: Database, token_id: int) -> TokenRow | None:
    """The token of that id, revoked or not."""
    return _one(db, "t.id = ?", token_id)


def by_hash(db: Database, token_hash: str) -> TokenRow | None:
    """The token with that digest, revoked or not."""
    return _one(db, "t.token_hash = ?", token_hash)


def page(db: Database, limit: int, offset: int) -> tuple[list[TokenRow], int]:
    """A page of all tokens, newest first, revoked ones included; and how many there are."""
    total = db.execute("SELECT count(*) FROM api_tokens").fetchone()[0]
    rows = db.execute(f"{_SELECT} ORDER BY t.created_at DESC, t.id DESC LIMIT ? OFFSET ?", [limit, offset])
    return [_row(r) for r in rows.fetchall()], int(total)


def count_live_admins(db: Database, at: datetime, *, besides: int | None = None) -> int:
    """How many valid global tokens with the right ``manage`` there are, not counting the token ``besides``."""
    sql = f"SELECT count(*) FROM api_tokens WHERE {_LIVE_ADMIN} AND id IS NOT :besides"
    return int(db.execute(sql, {"now": to_ms(at), "besides": besides}).fetchone()[0])


def _one(db: Database, where: str, arg: object) -> TokenRow | None:
    found = db.execute(f"{_SELECT} WHERE {where}", [arg]).fetchone()
    return None if found is None else _row(found)


def _row(values: Sequence[Any]) -> TokenRow:
    *head, rights, allowed_ips, created_at, expires_at, last_used_at, revoked_at = values
    times = map(from_ms, (created_at, expires_at, last_used_at, revoked_at))
    return TokenRow(*[*head, tuple(json.loads(rights)), tuple(json.loads(allowed_ips)), *times])
