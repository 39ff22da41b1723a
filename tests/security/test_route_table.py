"""Every route × every principal: the statuses, complete. The most important table of the project."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streamhub.model.access import Right, Scope
from streamhub.services.bundle import Services
from streamhub.services.tokens import NewToken
from streamhub.web.app import all_routes
from tests.conftest import Clock
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub
from tests.web.world import ASKS, World

PRINCIPALS = (
    *("none", "bad", "revoked", "expired", "wrong_ip"),
    *("app_read", "app_publish", "app_manage", "other_manage"),
    *("global_read", "global_publish", "global_manage"),
)
NOBODY = "401 401 401 401 401"
EVERYBODY = " ".join(["200"] * 12)
READ_GLOBAL = f"{NOBODY}  403 403 403 403  200 403 403"
READ_APP = f"{NOBODY}  200 403 403 403  200 403 403"

# Statuses in the order of PRINCIPALS.
TABLE = {
    ("GET", "/api/v1/health"): EVERYBODY,
    ("GET", "/api/v1/docs"): EVERYBODY,
    ("GET", "/api/v1/openapi.json"): EVERYBODY,
    ("GET", "/api/v1/apps/<app>/ws-ingest/live/<room>"): EVERYBODY,
    ("GET", "/api/v1/auth/me"): f"{NOBODY}  200 200 200 200  200 200 200",
    ("GET", "/api/v1/stats"): READ_GLOBAL,
    # Contract §1: no metrics token is set here, so that to strangers there is no such page.
    ("GET", "/metrics"): READ_GLOBAL.replace("401", "404"),
    ("GET", "/api/v1/tokens"): f"{NOBODY}  403 403 403 403  403 403 200",
    ("POST", "/api/v1/tokens"): f"{NOBODY}  403 403 403 403  403 403 201",
    ("DELETE", "/api/v1/tokens/<token_id>"): f"{NOBODY}  403 403 403 403  403 403 204",
    # A token of one app lists that app alone.
    ("GET", "/api/v1/apps"): READ_APP,
    ("POST", "/api/v1/apps"): f"{NOBODY}  403 403 403 403  403 403 201",
    ("GET", "/api/v1/apps/<app>"): READ_APP,
    ("PATCH", "/api/v1/apps/<app>"): f"{NOBODY}  403 403 403 403  403 403 200",
    ("DELETE", "/api/v1/apps/<app>"): f"{NOBODY}  403 403 403 403  403 403 200",
    ("GET", "/api/v1/apps/<app>/stats"): READ_APP,
    ("POST", "/api/v1/apps/<app>/tokens"): f"{NOBODY}  403 201 403 403  403 201 403",
    ("GET", "/api/v1/apps/<app>/play-token/<room>"): EVERYBODY,
    ("GET", "/api/v1/apps/<app>/ingress"): READ_APP,
    ("POST", "/api/v1/apps/<app>/ingress"): f"{NOBODY}  403 201 403 403  403 201 403",
    ("POST", "/api/v1/apps/<app>/ingress/test"): f"{NOBODY}  403 200 403 403  403 200 403",
    ("GET", "/api/v1/apps/<app>/ingress/<ingress_id>"): READ_APP,
    ("PATCH", "/api/v1/apps/<app>/ingress/<ingress_id>"): f"{NOBODY}  403 403 200 403  403 403 200",
    ("POST", "/api/v1/apps/<app>/ingress/<ingress_id>/rotate"): f"{NOBODY}  403 403 201 403  403 403 201",
    ("DELETE", "/api/v1/apps/<app>/ingress/<ingress_id>"): f"{NOBODY}  403 403 200 403  403 403 200",
    ("GET", "/api/v1/apps/<app>/ws-ingest"): READ_APP,
    ("POST", "/api/v1/apps/<app>/ws-ingest"): f"{NOBODY}  403 201 403 403  403 201 403",
    ("POST", "/api/v1/apps/<app>/ws-ingest/<key_id>/rotate"): f"{NOBODY}  403 403 201 403  403 403 201",
    ("DELETE", "/api/v1/apps/<app>/ws-ingest/<key_id>"): f"{NOBODY}  403 403 200 403  403 403 200",
    ("GET", "/api/v1/apps/<app>/streams"): READ_APP,
    ("GET", "/api/v1/apps/<app>/streams/<path:stream_id>"): READ_APP,
    ("DELETE", "/api/v1/apps/<app>/streams/<path:stream_id>"): f"{NOBODY}  403 403 204 403  403 403 204",
    ("POST", "/api/v1/apps/<app>/streams/<path:stream_id>/hls/start"): f"{NOBODY}  403 201 403 403  403 201 403",
    ("POST", "/api/v1/apps/<app>/streams/<path:stream_id>/hls/stop"): f"{NOBODY}  403 200 403 403  403 200 403",
    ("GET", "/api/v1/apps/<app>/streams/<path:stream_id>/hls"): READ_APP,
}


@pytest.fixture
async def tokens(services: Services, wall: Clock, admin_token: str) -> dict[str, str]:
    """A secret for each principal. The admin stays, so that no case meets the last admin."""
    made = {"none": "", "bad": "sk_" + "A" * 43}

    async def add(name: str, scope: Scope, *rights: Right, **more: object) -> int:
        new = NewToken(name=name, scope=scope, rights=rights, **more)  # type: ignore[arg-type]
        issued = await services.tokens.create(new)
        made[name] = issued.secret
        return issued.token.id

    everything = tuple(Right)
    await services.tokens.revoke(await add("revoked", Scope.GLOBAL, *everything))
    await add("expired", Scope.GLOBAL, *everything, expires_at=wall.now + timedelta(seconds=1))
    wall.advance(seconds=2)
    await add("wrong_ip", Scope.GLOBAL, *everything, allowed_ips=("203.0.113.0/24",))
    for right in Right:
        await add(f"app_{right.value}", Scope.APP, right, app="live")
        await add(f"global_{right.value}", Scope.GLOBAL, right)
    await add("other_manage", Scope.APP, *everything, app="other")
    assert set(made) == set(PRINCIPALS)
    return made


def test_table_when_a_route_is_added_then_it_needs_a_row() -> None:
    routes = {(r.method, r.full_path) for r in all_routes("1")}
    assert set(TABLE) == routes
    assert set(ASKS) == routes


@pytest.mark.parametrize("route", TABLE, ids=lambda r: f"{r[0]} {r[1]}")
async def test_route_when_asked_by_each_principal_then_as_the_table_says(
    route: tuple[str, str], api: Api, services: Services, fake_hub: FakeHub, tokens: dict[str, str]
) -> None:
    world = World(services, fake_hub)
    expected = dict(zip(PRINCIPALS, map(int, TABLE[route].split()), strict=True))
    if route == ("GET", "/api/v1/apps"):
        # 'other_manage' has the right to read, its own app.
        expected["other_manage"] = 200
    found = {}
    for name in PRINCIPALS:
        await world.restore()
        if (token := tokens[name]).startswith("sk_") and "app_" in name:
            # Deleting an app takes its tokens along: those cases come before, but never rely on it.
            assert await services.apps.find("live") is not None
        ask = await ASKS[route](world)
        reply = await api(route[0], ask.path, json=ask.json, token=token)
        found[name] = reply.status
        if reply.status >= 400:
            assert set(reply.json) >= {"statusCode", "error", "message", "code", "hint"}
            assert reply.json["statusCode"] == reply.status
        if reply.status == 401:
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert found == expected


@pytest.mark.parametrize("route", [r for r in TABLE if "<app>" in r[1] and TABLE[r] != EVERYBODY], ids=" ".join)
async def test_route_when_the_app_is_unknown_then_only_who_may_know_learns_it(
    route: tuple[str, str], api: Api, services: Services, fake_hub: FakeHub, tokens: dict[str, str]
) -> None:
    known = dict(zip(PRINCIPALS, map(int, TABLE[route].split()), strict=True))
    for name in PRINCIPALS:
        ask = await ASKS[route](World(services, fake_hub))
        path = ask.path.replace("/apps/live", "/apps/nope", 1)
        reply = await api(route[0], path, json=ask.json, token=tokens[name])
        expected = known[name] if known[name] >= 400 else 404 if name.startswith("global_") else 403
        assert (name, reply.status) == (name, expected)
        if route[1] == "/api/v1/apps/<app>" and route[0] == "DELETE":
            await World(services, fake_hub).restore()


async def test_app_token_when_it_names_another_app_in_any_spelling_then_refused(
    api: Api, tokens: dict[str, str]
) -> None:
    for path in ("/apps/other", "/apps/%6Fther", "/apps/OTHER", "/apps/live%2F..%2Fother", "/apps/live/../other"):
        reply = await api("GET", path, token=tokens["app_read"])
        assert reply.status in (403, 404), path
        assert b"other-" not in reply.body


async def test_own_key_when_only_publish_then_refused_and_nothing_is_made(
    api: Api, services: Services, tokens: dict[str, str]
) -> None:
    body = {"room": "cam1", "streamKey": "wsk_" + "k" * 24}
    reply = await api("POST", "/apps/live/ws-ingest", json=body, token=tokens["app_publish"])
    assert (reply.status, reply.code) == (403, "missing_right")
    listed = await api("GET", "/apps/live/ws-ingest", token=tokens["global_read"])
    assert listed.data == []


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer{}", "Token {}", "Bearer {} x", "Bearer x {}"],
)
async def test_authorization_when_it_is_no_bearer_then_401(api: Api, admin_token: str, header: str) -> None:
    reply = await api("GET", "/auth/me", token="", headers={"Authorization": header.format(admin_token)})
    assert reply.status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_authorization_when_the_scheme_is_in_any_case_then_accepted(
    api: Api, admin_token: str, scheme: str
) -> None:
    reply = await api("GET", "/auth/me", token="", headers={"Authorization": f"{scheme} {admin_token}"})
    assert (reply.status, reply.data["via"]) == (200, "api_token")


async def test_token_when_in_the_query_then_it_does_not_count(api: Api, admin_token: str) -> None:
    for name in ("key", "token", "access_token"):
        assert (await api("GET", f"/auth/me?{name}={admin_token}", token="")).status == 401
