from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.clock import utc_now
from streamhub.services.bundle import Services
from streamhub.web.livekit_hook import create_hook_app
from tests.conftest import Clock
from tests.fakes.api import Api, Reply
from tests.fakes.livekit import note, sign

HOOK = "/webhooks/livekit"
TURN_PASSWORD = "a-turn-password"


@pytest.fixture
def wall() -> Clock:
    return Clock(utc_now())


@pytest.fixture
def looked(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Rooms the watch was asked to look at."""
    found: list[str] = []
    monkeypatch.setattr(type(services.watch), "look_at", lambda _self, room: found.append(room))
    return found


async def send(api: Api, keys: LiveKitKeys, body: bytes, path: str = HOOK, **headers: str) -> Reply:
    sent = {"Authorization": sign(keys, body), "Content-Type": "application/webhook+json", **headers}
    return await api("POST", path, token="", body=body, headers=sent)


@pytest.mark.parametrize("kind", ["application/json", "application/webhook+json"])
async def test_hook_when_livekit_calls_then_received_and_the_room_is_looked_at(
    api: Api, livekit_keys: LiveKitKeys, looked: list[str], kind: str
) -> None:
    reply = await send(api, livekit_keys, note("track_published"), **{"Content-Type": kind})
    assert (reply.status, reply.json) == (200, {"data": {"received": True}})
    assert looked == ["live-demo"]


async def test_hook_when_called_twice_then_once_looked(api: Api, livekit_keys: LiveKitKeys, looked: list[str]) -> None:
    for _ in range(2):
        assert (await send(api, livekit_keys, note("track_published"))).status == 200
    assert looked == ["live-demo"]


async def test_hook_when_nobody_signed_then_401_and_nothing_happens(
    api: Api, livekit_keys: LiveKitKeys, looked: list[str], admin_token: str
) -> None:
    body = note("track_published")
    stale = sign(livekit_keys, body, ttl=timedelta(minutes=-1))
    for authorization in ("", stale, f"Bearer {admin_token}", sign(livekit_keys, b"other")):
        reply = await send(api, livekit_keys, body, Authorization=authorization)
        assert (reply.status, reply.code) == (401, "webhook_signature")
    assert looked == []


async def test_hook_when_the_body_is_no_event_or_too_large_then_an_error(api: Api, livekit_keys: LiveKitKeys) -> None:
    assert (await send(api, livekit_keys, b"[]")).code == "bad_webhook"
    assert (await send(api, livekit_keys, b" " * 1_100_000)).status == 413
    assert (await api("GET", HOOK)).status == 405


async def test_hook_when_a_note_carries_a_turn_password_then_it_is_not_logged(
    api: Api, livekit_keys: LiveKitKeys, looked: list[str], logged: Callable[[], str]
) -> None:
    room: Any = {"name": "live-demo", "turnPassword": TURN_PASSWORD}
    body = json.loads(note("room_started")) | {"room": room}
    assert (await send(api, livekit_keys, json.dumps(body).encode())).status == 200
    await send(api, livekit_keys, json.dumps(body | {"createdAt": "x"}).encode())
    assert TURN_PASSWORD not in logged()
    assert looked == ["live-demo"]


async def test_own_listener_then_it_has_the_hook_and_nothing_else(
    services: Services, livekit_keys: LiveKitKeys, looked: list[str]
) -> None:
    alone = Api(create_hook_app(services.watch))
    assert (await send(alone, livekit_keys, note("room_finished"), path=f"/{HOOK}")).status == 200
    assert looked == ["live-demo"]
    for path in ("//", "//api/v1/health", f"/{HOOK}/x", "//api/v1/webhooks/livekit", "//play/live/demo", "//metrics"):
        assert (await alone("GET", path)).status == 404, path
