"""``/tokens``."""

from __future__ import annotations

import attrs

from streamhub.errors import NotFound
from streamhub.model.access import Right, Scope
from streamhub.model.clock import iso_ms, sqlite_time
from streamhub.services.fields import Page
from streamhub.services.tokens import ApiToken, Issued, NewToken
from streamhub.web.auth import SERVER_MANAGE
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route


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


async def list_tokens(deps: Deps, call: Call) -> Page[TokenAnswer]:
    page = await deps.services.tokens.page(call.query)
    return Page([shown(t) for t in page.items], page.total, page.paging)


async def create_token(deps: Deps, call: Call) -> NewTokenAnswer:
    new: NewToken = call.body
    return shown_new(await deps.services.tokens.create(new))


async def revoke_token(deps: Deps, call: Call) -> None:
    text = call.path["token_id"]
    # Beyond SQLite's integers there is no token either.
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFound(f"token '{text[:40]}' not found", code="token_not_found")
    await deps.services.tokens.revoke(int(text))


ROUTES = (
    Route(
        method="GET",
        path="/tokens",
        summary="API tokens, newest first, without their secrets",
        auth=SERVER_MANAGE,
        handler=list_tokens,
        answer=TokenAnswer,
        paged=True,
    ),
    Route(
        method="POST",
        path="/tokens",
        summary="Make an API token; its secret is in this answer only",
        auth=SERVER_MANAGE,
        handler=create_token,
        body=NewToken,
        answer=NewTokenAnswer,
        status=201,
    ),
    Route(
        method="DELETE",
        path="/tokens/<token_id>",
        summary="Revoke an API token for good",
        auth=SERVER_MANAGE,
        handler=revoke_token,
        status=204,
        errors=(404, 409),
    ),
)
