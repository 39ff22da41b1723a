from __future__ import annotations

import pytest

from tests.conftest import Clock
from tests.fakes.api import Api


async def test_create_then_it_works_and_is_listed_without_its_secret(api: Api) -> None:
    body = {
        "name": "ci",
        "scope": "app",
        "appId": 2,
        "rights": ["read"],
        "allowedIps": ["192.0.2.0/24"],
        "expiresAt": "2026-12-24T12:00:00+01:00",
    }
    reply = await api("POST", "/tokens", json=body)
    assert reply.status == 201
    secret = reply.data["token"]
    assert secret.startswith("sk_")
    me = (await api("GET", "/auth/me", token=secret)).data
    assert me == {
        "userId": f"token:{reply.data['id']}",
        "name": "ci",
        "scope": "app",
        "app": "other",
        "rights": ["read"],
        "isSuperadmin": False,
        "tenantId": None,
        "role": None,
        "via": "api_token",
    }
    row = (await api("GET", "/tokens")).data[0]
    assert row == {
        "id": reply.data["id"],
        "name": "ci",
        "keyPrefix": secret[:8],
        "scope": "app",
        "app": "other",
        "appId": 2,
        "rights": ["read"],
        "allowedIps": ["192.0.2.0/24"],
        "createdAt": "2026-11-23 12:00:00",
        "expiresAt": "2026-12-24T11:00:00.000Z",
        "lastUsedAt": None,
        "revoked": False,
        "revokedAt": None,
    }


async def test_create_when_every_field_is_bad_then_all_are_named(api: Api) -> None:
    body = {
        "name": "",
        "scope": "tenant",
        "appId": "2",
        "rights": ["read", "fly"],
        "allowedIps": "192.0.2.1",
        "expiresAt": "tomorrow",
        "role": "owner",
    }
    reply = await api("POST", "/tokens", json=body)
    assert set(reply.fields) == {"name", "scope", "appId", "rights[1]", "allowedIps", "expiresAt", "role"}


async def test_create_when_rights_are_empty_then_400(api: Api) -> None:
    assert set((await api("POST", "/tokens", json={"name": "x", "scope": "global", "rights": []})).fields) == {"rights"}


async def test_create_when_the_app_is_unknown_then_400_with_the_field(api: Api) -> None:
    reply = await api("POST", "/tokens", json={"name": "x", "scope": "app", "app": "nope"})
    assert (reply.status, reply.fields) == (400, {"app": "there is no app 'nope'"})


async def test_create_when_the_name_would_break_a_log_line_then_400(api: Api) -> None:
    assert set((await api("POST", "/tokens", json={"name": "x\ny", "scope": "global"})).fields) == {"name"}


async def test_revoke_then_the_next_request_is_refused(api: Api, wall: Clock) -> None:
    made = (await api("POST", "/tokens", json={"name": "x", "scope": "global"})).data
    assert (await api("GET", "/apps", token=made["token"])).status == 200
    reply = await api("DELETE", f"/tokens/{made['id']}")
    assert (reply.status, reply.body) == (204, b"")
    assert (await api("GET", "/apps", token=made["token"])).status == 401
    row = (await api("GET", "/tokens")).data[0]
    assert (row["revoked"], row["revokedAt"]) == (True, "2026-11-23 12:00:00")


@pytest.mark.parametrize("token_id", ["4711", "x", "-1", "1.0", "9" * 30, "%31%31", "١"])
async def test_revoke_when_unknown_then_404(api: Api, token_id: str) -> None:
    reply = await api("DELETE", f"/tokens/{token_id}")
    assert (reply.status, reply.code) == (404, "token_not_found")


async def test_revoke_when_it_is_the_last_admin_then_409_with_what_to_do(api: Api) -> None:
    mine = (await api("GET", "/auth/me")).data["userId"].removeprefix("token:")
    reply = await api("DELETE", f"/tokens/{mine}")
    assert (reply.status, reply.code) == (409, "last_admin_token")
    assert "Create another" in reply.json["hint"]
    assert (await api("GET", "/auth/me")).status == 200
