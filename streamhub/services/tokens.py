"""API tokens: shown once, kept as digests, revoked for good."""

# ruff: noqa: RUF009 - declared() makes the attrs field itself, not its default.

from __future__ import annotations

import ipaddress
import re
from datetime import datetime

import attrs

from streamhub.errors import Conflict, FieldProblem, Invalid, NotFound
from streamhub.model.access import Right, Scope
from streamhub.model.clock import WallClock, utc_now
from streamhub.services.fields import PRINTABLE, Page, Paging, declared, items, length
from streamhub.services.sealing import digest, new_api_token, prefix_of
from streamhub.store import apps as app_rows
from streamhub.store import tokens as rows
from streamhub.store.db import Database, Store, Taken
from streamhub.store.tokens import TokenRow

OWN_TOKEN = re.compile(r"sk_[A-Za-z0-9_-]{29,200}", re.ASCII)
ALL_RIGHTS = (Right.READ, Right.PUBLISH, Right.MANAGE)


@attrs.frozen
class NewToken:
    """A request for a token."""

    name: str = declared("What it is for, for people.", length(1, 100), PRINTABLE)
    scope: Scope = declared("'global', or 'app' for one app alone.")
    app: str | None = declared("The app, when the scope is 'app'.", default=None)
    app_id: int | None = declared("The app by its id, instead of its name.", default=None)
    rights: tuple[Right, ...] = declared("What it may do.", items(1, 3), default=ALL_RIGHTS)
    allowed_ips: tuple[str, ...] = declared(
        "Addresses or CIDR networks it may be used from; none: from anywhere.", items(0, 100), default=()
    )
    expires_at: datetime | None = declared("When it stops working; null: never.", default=None)


@attrs.frozen
class ApiToken:
    """A token as everybody may see it."""

    id: int
    name: str
    key_prefix: str
    scope: Scope
    app: str | None
    app_id: int | None
    rights: tuple[Right, ...]
    allowed_ips: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@attrs.frozen
class Issued:
    """A new token, with its secret for the only time."""

    token: ApiToken
    secret: str = attrs.field(repr=False)


def from_row(row: TokenRow) -> ApiToken:
    """The token of a stored row."""
    return ApiToken(
        id=row.id,
        name=row.name,
        key_prefix=row.key_prefix,
        scope=Scope(row.scope),
        app=row.app,
        app_id=row.app_id,
        rights=tuple(r for r in ALL_RIGHTS if r.value in row.rights),
        allowed_ips=row.allowed_ips,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def is_live(row: TokenRow, at: datetime) -> bool:
    """Whether the token is neither revoked nor expired."""
    return row.revoked_at is None and (row.expires_at is None or at < row.expires_at)


@attrs.frozen
class Tokens:
    """The use cases of ``/tokens``."""

    store: Store
    now: WallClock = utc_now

    async def create(self, new: NewToken) -> Issued:
        """A new token and its secret. Raises Invalid naming every bad field."""
        secret = new_api_token()
        row = await self.store.write(add_token, new, secret, self.now())
        return Issued(from_row(row), secret)

    async def page(self, paging: Paging) -> Page[ApiToken]:
        """All tokens, newest first, revoked ones included."""
        found, total = await self.store.read(rows.page, paging.limit, paging.offset)
        return Page([from_row(r) for r in found], total, paging)

    async def get(self, token_id: int) -> ApiToken:
        """The token. Raises NotFound."""
        row = await self.store.read(rows.by_id, token_id)
        if row is None:
            raise _unknown(token_id)
        return from_row(row)

    async def revoke(self, token_id: int, *, last_too: bool = False) -> ApiToken:
        """The token no longer works; revoking it again changes nothing.

        Raises NotFound, and Conflict for the last token that can manage the server, unless ``last_too``.
        """
        return from_row(await self.store.write(_revoke, token_id, self.now(), last_too))


# Far enough for anybody, and never beyond what a date can hold in another zone.
LATEST_YEAR = 9000


def add_token(db: Database, new: NewToken, secret: str, at: datetime) -> TokenRow:
    """Add a token in the caller's transaction. Raises Invalid naming every bad field, Conflict for a known secret."""
    problems = _network_problems(new.allowed_ips)
    app_id = _app_of(db, new, problems)
    if new.expires_at is not None and new.expires_at <= at:
        problems.append(FieldProblem("expiresAt", "expected a moment in the future"))
    if new.expires_at is not None and new.expires_at.year > LATEST_YEAR:
        problems.append(FieldProblem("expiresAt", f"expected a moment before the year {LATEST_YEAR + 1}"))
    if problems:
        raise Invalid(
            "the token cannot be made: " + "; ".join(f"{p.path}: {p.message}" for p in problems), fields=problems
        )
    try:
        return rows.insert(
            db,
            name=new.name,
            token_hash=digest(secret),
            key_prefix=prefix_of(secret),
            scope=new.scope.value,
            app_id=app_id,
            rights=[r.value for r in ALL_RIGHTS if r in new.rights],
            allowed_ips=new.allowed_ips,
            at=at,
            expires_at=new.expires_at,
        )
    except Taken:
        raise Conflict("this token exists already", code="token_exists") from None


def _app_of(db: Database, new: NewToken, problems: list[FieldProblem]) -> int | None:
    if new.scope is Scope.GLOBAL:
        for path, value in (("app", new.app), ("appId", new.app_id)):
            if value is not None:
                problems.append(FieldProblem(path, "not allowed when the scope is 'global'"))
        return None
    if new.app is None and new.app_id is None:
        problems.append(FieldProblem("app", "required when the scope is 'app'"))
        return None
    by_name = app_rows.by_name(db, new.app) if new.app is not None else None
    by_id = app_rows.by_id(db, new.app_id) if new.app_id is not None else None
    if new.app is not None and by_name is None:
        problems.append(FieldProblem("app", f"there is no app '{new.app}'"))
    if new.app_id is not None and by_id is None:
        problems.append(FieldProblem("appId", f"there is no app with the id {new.app_id}"))
    if by_name and by_id and by_name.id != by_id.id:
        problems.append(FieldProblem("appId", f"is not the id of app '{new.app}'"))
    found = by_name or by_id
    return None if found is None else found.id


def _network_problems(texts: tuple[str, ...]) -> list[FieldProblem]:
    problems = []
    for index, text in enumerate(texts):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            try:
                near = ipaddress.ip_network(text, strict=False)
                message = f"has address bits beyond its mask; write {near}"
            except ValueError:
                message = "expected an IP address or a CIDR network such as 192.168.1.0/24"
            problems.append(FieldProblem(f"allowedIps[{index}]", message))
    return problems


def _revoke(db: Database, token_id: int, at: datetime, last_too: bool) -> TokenRow:
    row = rows.by_id(db, token_id)
    if row is None:
        raise _unknown(token_id)
    admin = row.scope == Scope.GLOBAL.value and Right.MANAGE.value in row.rights and is_live(row, at)
    if admin and not last_too and not rows.count_live_admins(db, at, besides=token_id):
        raise Conflict(
            "this is the last token that can manage the server",
            code="last_admin_token",
            hint="Create another global token with the right 'manage' first.",
        )
    rows.revoke(db, token_id, at)
    return rows.by_id(db, token_id) or row


def _unknown(token_id: int) -> NotFound:
    return NotFound(f"token {token_id} not found", code="token_not_found", hint="GET /api/v1/tokens lists the tokens.")
