"""What was secret once is never seen again: not in an answer, not in a log line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamhub.services.bundle import Services
from tests.fakes.api import Api
from tests.fakes.hub import FakeHub
from tests.web.world import ASKS, World

CAMERA_PASSWORD = "hunter33-of-the-door"
CAMERA_URL = f"rtsp://admin:{CAMERA_PASSWORD}@192.168.1.20/1"
CALLBACK_SECRET = "hunter22-is-not-a-good-secret"


async def test_answers_and_logs_when_everything_is_called_then_no_secret_in_them(
    api: Api, services: Services, fake_hub: FakeHub, logged: Callable[[], str], admin_token: str
) -> None:
    world = World(services, fake_hub)
    secrets = {admin_token, services.access.livekit.api_secret, CALLBACK_SECRET, CAMERA_PASSWORD}

    key = await api("POST", "/apps/live/ws-ingest", json={"room": "front"})
    rotated = await api("POST", f"/apps/live/ws-ingest/{key.data['id']}/rotate")
    own = await api("POST", "/apps/live/ws-ingest", json={"room": "own", "streamKey": "wsk_" + "burnt-in-" * 4})
    ingress = await api("POST", "/apps/live/ingress", json={"inputType": "whip", "room": "obs"})
    changed = await api("POST", f"/apps/live/ingress/{ingress.data['ingressId']}/rotate")
    pushed = await api("POST", "/apps/live/ingress", json={"inputType": "rtmp", "room": "obs"})
    pull = await api("POST", "/apps/live/ingress", json={"inputType": "rtsp", "room": "door", "url": CAMERA_URL})
    assert pull.status == 201
    token = await api("POST", "/tokens", json={"name": "t", "scope": "global"})
    patched = await api("PATCH", "/apps/live", json={"callbackSecret": CALLBACK_SECRET})
    for reply in (key, rotated, own, ingress, changed, pushed):
        secrets.add(reply.data["streamKey"])
    secrets.add(token.data["token"])
    for reply in (key, rotated, own, token, ingress, changed, pushed, pull):
        assert reply.headers["Cache-Control"] == "no-store"
    assert len(secrets) == 11

    answers = {"patched": patched.body}
    for route, ask_for in ASKS.items():
        if route[0] == "DELETE" and route[1] == "/api/v1/apps/<app>":
            continue
        ask = await ask_for(world)
        reply = await api(route[0], ask.path, json=ask.json)
        answers[f"{route}"] = reply.body + repr(list(reply.headers)).encode()
    # Errors are the likeliest place for an echo.
    for name, reply in {
        "key again": await api("POST", "/apps/live/ws-ingest", json={"room": "x", "streamKey": own.data["streamKey"]}),
        "bad key": await api("POST", "/apps/live/ws-ingest", json={"room": "x", "streamKey": f"{admin_token}!"}),
        "bad secret": await api("PATCH", "/apps/live", json={"callbackSecret": CALLBACK_SECRET * 20}),
        "unknown stream key": await api("POST", f"//whip/{changed.data['streamKey']}x", body=b"v=0"),
        "stream key without livekit": await api("POST", f"//whip/{changed.data['streamKey']}", body=b"v=0"),
        "bad url": await api("POST", "/apps/live/ingress", json={"inputType": "url", "url": CAMERA_URL[1:]}),
        "denied url": await api(
            "POST",
            "/apps/live/ingress/test",
            json={"inputType": "rtsp", "url": CAMERA_URL.replace("192.168.1.20", "127.0.0.1")},
        ),
        "shown pull": await api("GET", f"/apps/live/ingress/{pull.data['ingressId']}"),
        "made pull": pull,
        "unknown token": await api("GET", "/apps", token=admin_token + "x"),
        "a key is no token": await api("GET", "/apps", token=own.data["streamKey"]),
        "bad json": await api(
            "POST", "/tokens", body=f'{{"{admin_token}'.encode(), headers={"Content-Type": "application/json"}
        ),
        "verbose": await api("GET", "/health?verbose=1"),
    }.items():
        answers[name] = reply.body

    for name, body in answers.items():
        for secret in secrets:
            assert secret.encode() not in body, name
    lines = logged()
    assert '"event": "changed"' in lines
    for secret in secrets:
        assert secret not in lines


async def test_unexpected_error_when_it_holds_a_secret_then_neither_answer_nor_log_shows_it(
    api: Api, services: Services, admin_token: str, logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:

    async def fail(*_: object) -> None:
        raise RuntimeError(f"cannot cope with {admin_token}")

    monkeypatch.setattr(type(services.stats), "server", fail)
    reply = await api("GET", "/stats")
    assert (reply.status, reply.code) == (500, "internal_error")
    assert b"RuntimeError" not in reply.body
    assert b"cope" not in reply.body
    lines = logged()
    number = reply.json["hint"].split()[2]
    assert number in reply.json["message"]
    assert number in lines
    assert "RuntimeError" in lines
    assert admin_token not in lines


async def test_unexpected_error_at_whip_when_the_key_is_in_the_path_then_the_log_does_not_show_it(
    api: Api, services: Services, logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("no idea")

    monkeypatch.setattr(type(services.whip), "publish", fail)
    assert (await api("POST", "//whip/a-key-of-ones-own-without-form", body=b"v=0")).status == 500
    lines = logged()
    assert "RuntimeError" in lines
    assert "of-ones-own" not in lines
