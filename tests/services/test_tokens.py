from __future__ import annotations

from datetime import timedelta

import pytest
from sqlite_utils import Database

from streamhub.errors import Conflict, Invalid, NotFound
from streamhub.model.access import Right, Scope
from streamhub.services.bundle import Services
from streamhub.services.fields import Paging
from streamhub.services.tokens import OWN_TOKEN, NewToken
from streamhub.store.db import Store
from tests.conftest import Clock

ADMIN = NewToken(name="admin", scope=Scope.GLOBAL)


async def test_create_then_the_secret_has_256_bits_and_only_its_digest_is_stored(
    services: Services, store: Store
) -> None:
    issued = await services.tokens.create(ADMIN)
    assert len(issued.secret) == 3 + 43
    assert OWN_TOKEN.fullmatch(issued.secret)
    assert issued.token.key_prefix == issued.secret[:8]

    def everything(db: Database) -> str:
        return repr(db.execute("SELECT * FROM api_tokens").fetchall())

    assert issued.secret not in await store.read(everything)
    assert issued.secret not in repr(issued)


async def test_create_when_many_fields_are_bad_then_each_is_named(services: Services, wall: Clock) -> None:
    bad = NewToken(
        name="x",
        scope=Scope.APP,
        app="nope",
        app_id=99,
        allowed_ips=("10.0.0.1", "10.0.0.1/8", "fe80::/10", "cats"),
        expires_at=wall.now - timedelta(seconds=1),
    )
    with pytest.raises(Invalid) as caught:
        await services.tokens.create(bad)
    problems = {p.path: p.message for p in caught.value.fields}
    assert set(problems) == {"app", "appId", "allowedIps[1]", "allowedIps[3]", "expiresAt"}
    assert "10.0.0.0/8" in problems["allowedIps[1]"]


@pytest.mark.parametrize(
    ("new", "path"),
    [
        (NewToken(name="x", scope=Scope.GLOBAL, app="live"), "app"),
        (NewToken(name="x", scope=Scope.GLOBAL, app_id=1), "appId"),
        (NewToken(name="x", scope=Scope.APP), "app"),
        (NewToken(name="x", scope=Scope.APP, app="live", app_id=2), "appId"),
    ],
)
async def test_create_when_scope_and_app_disagree_then_invalid(services: Services, new: NewToken, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        await services.tokens.create(new)
    assert [p.path for p in caught.value.fields] == [path]


async def test_create_when_of_an_app_then_by_name_or_id(services: Services) -> None:
    app = await services.apps.get("other")
    for new in (NewToken(name="x", scope=Scope.APP, app="other"), NewToken(name="x", scope=Scope.APP, app_id=app.id)):
        token = (await services.tokens.create(new)).token
        assert (token.app, token.app_id, token.scope) == ("other", app.id, Scope.APP)


async def test_revoke_when_twice_then_the_first_moment_stays(services: Services, wall: Clock) -> None:
    token = (await services.tokens.create(NewToken(name="x", scope=Scope.GLOBAL, rights=(Right.READ,)))).token
    first = await services.tokens.revoke(token.id)
    wall.advance(minutes=1)
    assert (await services.tokens.revoke(token.id)).revoked_at == first.revoked_at


async def test_revoke_when_unknown_then_not_found(services: Services) -> None:
    with pytest.raises(NotFound):
        await services.tokens.revoke(4711)


async def test_revoke_when_it_is_the_last_admin_then_conflict_unless_the_owner_insists(services: Services) -> None:
    await services.tokens.create(NewToken(name="reader", scope=Scope.GLOBAL, rights=(Right.READ,)))
    await services.tokens.create(NewToken(name="one app", scope=Scope.APP, app="live"))
    admin = (await services.tokens.create(ADMIN)).token
    with pytest.raises(Conflict) as caught:
        await services.tokens.revoke(admin.id)
    assert caught.value.code == "last_admin_token"
    assert (await services.tokens.get(admin.id)).revoked_at is None
    assert (await services.tokens.revoke(admin.id, last_too=True)).revoked_at is not None


async def test_revoke_when_another_admin_has_expired_then_it_does_not_count(services: Services, wall: Clock) -> None:
    admin = (await services.tokens.create(ADMIN)).token
    until = wall.now + timedelta(hours=1)
    await services.tokens.create(NewToken(name="short", scope=Scope.GLOBAL, expires_at=until))
    wall.advance(hours=2)
    with pytest.raises(Conflict):
        await services.tokens.revoke(admin.id)
    await services.tokens.create(ADMIN)
    await services.tokens.revoke(admin.id)


async def test_page_then_newest_first_with_revoked_ones(services: Services, wall: Clock) -> None:
    made = []
    for name in ("a", "b", "c"):
        made.append((await services.tokens.create(NewToken(name=name, scope=Scope.GLOBAL))).token)
        wall.advance(seconds=1)
    await services.tokens.revoke(made[-1].id)
    page = await services.tokens.page(Paging(limit=2))
    assert ([t.name for t in page.items], page.total) == (["c", "b"], 3)
