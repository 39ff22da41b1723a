"""API tokens."""

from __future__ import annotations

import attrs

from streamhub.model.access import Right, Scope
from streamhub.model.clock import iso_ms, sqlite_time
from streamhub.services.tokens import ApiToken, Issued


@attrs.frozen
class TokenAnswer:
    id: int
    name: str
    key_prefix: str
    scope: Scope
    app: str | None
    app_id: int | None
    rights: tuple[Right, ...]
    allowed_ips: tuple[str, ...]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked: bool
    revoked_at: str | None


@attrs.frozen
class NewTokenAnswer:
    id: int
    token: str = attrs.field(repr=False)
    name: str
    key_prefix: str
    scope: Scope
    app: str | None
    app_id: int | None
    rights: tuple[Right, ...]
    allowed_ips: tuple[str, ...]
    created_at: str
    expires_at: str | None


def shown(token: ApiToken) -> TokenAnswer:
    """A token as the API lists it."""
    return TokenAnswer(
        id=token.id,
        name=token.name,
        key_prefix=token.key_prefix,
        scope=token.scope,
        app=token.app,
        app_id=token.app_id,
        rights=token.rights,
        allowed_ips=token.allowed_ips,
        created_at=sqlite_time(token.created_at),
        expires_at=None if token.expires_at is None else iso_ms(token.expires_at),
        last_used_at=None if token.last_used_at is None else sqlite_time(token.last_used_at),
        revoked=token.revoked_at is not None,
        revoked_at=None if token.revoked_at is None else sqlite_time(token.revoked_at),
    )


def shown_new(issued: Issued) -> NewTokenAnswer:
    """A new token with its secret."""
    row = shown(issued.token)
    return NewTokenAnswer(
        id=row.id,
        token=issued.secret,
        name=row.name,
        key_prefix=row.key_prefix,
        scope=row.scope,
        app=row.app,
        app_id=row.app_id,
        rights=row.rights,
        allowed_ips=row.allowed_ips,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
