from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import attrs
import jwt
import pytest

from streamhub.errors import Unavailable
from streamhub.livekit.tokens import VIEWER_ATTRIBUTE, JoinGrant, LiveKitKeys, mint_join_token
from streamhub.model.clock import utc_now
from streamhub.services.bundle import Services
from streamhub.services.join_tokens import JoinRules
from streamhub.web.app import Deps, create_app
from tests.conftest import Clock
from tests.fakes.api import Api
from tests.fakes.hub import Ears

TOKENS = "/apps/live/tokens"
SEED = {"room": "demo", "identity": "phone-42", "canPublish": True, "canSubscribe": True, "ttl": "1h"}


@pytest.fixture
def wall() -> Clock:
    """The true time: tokens are checked by it."""
    return Clock(utc_now().replace(microsecond=0))


@pytest.fixture
def claims(livekit_keys: LiveKitKeys) -> Any:
    def decode(token: str) -> dict[str, Any]:
        found: dict[str, Any] = jwt.decode(token, livekit_keys.api_secret, algorithms=["HS256"])
        return found

    return decode


async def test_create_when_asked_as_the_guide_does_then_its_seven_fields(api: Api, claims: Any, wall: Clock) -> None:
    reply = await api("POST", TOKENS, json=SEED)
    assert reply.status == 201
    assert list(reply.json) == ["data"]
    data = dict(reply.data)
    secret = data.pop("token")
    token = claims(secret)
    page = "https://hub.example/embed/live/live-demo"
    assert data == {
        "app": "live",
        "room": "live-demo",
        "identity": "phone-42",
        "hidden": False,
        "audioOnly": False,
        "adaptive": True,
        "wsUrl": "wss://hub.example",
        "playUrl": "https://hub.example/play/live/live-demo",
        "embedUrl": page,
        "iframe": f'<iframe src="{page}" width="640" height="360" frameborder="0" '
        'allow="autoplay; fullscreen; camera; microphone" allowfullscreen></iframe>',
        "studioUrl": f"https://hub.example/studio/live/live-demo#token={secret}",
    }
    at = int(wall().timestamp())
    assert (token["sub"], token["nbf"], token["exp"]) == ("phone-42", at, at + 3600)
    video = token["video"]
    assert (video["room"], video["roomJoin"]) == ("live-demo", True)
    assert (video["canPublish"], video["canSubscribe"], video["canPublishData"]) == (True, True, True)


async def test_create_when_nothing_is_said_then_the_defaults(api: Api, claims: Any) -> None:
    reply = await api("POST", TOKENS)
    token = claims(reply.data["token"])
    assert reply.data["room"] == token["video"]["room"] == "live"
    assert re.fullmatch(r"anon-[0-9a-f-]{36}", token["sub"])
    assert reply.data["identity"] == token["sub"]
    assert token["exp"] - token["nbf"] == 6 * 3600
    assert token["video"]["canPublish"] is True
    assert "canPublishSources" not in token["video"]
    assert (await api("POST", TOKENS)).data["identity"] != token["sub"]


@pytest.mark.parametrize("room", ["demo", "live-demo"])
async def test_create_when_the_room_is_short_or_full_then_the_same_room(api: Api, room: str) -> None:
    assert (await api("POST", TOKENS, json={"room": room})).data["room"] == "live-demo"


@pytest.mark.parametrize(
    ("ttl", "seconds"), [(3600, 3600), ("3600", 3600), ("1h", 3600), ("24 hours", 86_400), ("90m", 5400)]
)
async def test_create_when_ttl_is_spelled_so_then_it_lives_so_long(
    api: Api, claims: Any, ttl: object, seconds: int
) -> None:
    token = claims((await api("POST", TOKENS, json={"ttl": ttl})).data["token"])
    assert token["exp"] - token["nbf"] == seconds


@pytest.mark.parametrize("ttl", ["soon", "", 0, -5, "0s", 1.5, True, [], "1" * 30, "25h", 86_401, "8 days"])
async def test_create_when_ttl_is_bad_or_too_long_then_400_names_it(api: Api, ttl: object) -> None:
    reply = await api("POST", TOKENS, json={"ttl": ttl})
    assert (reply.status, list(reply.fields)) == (400, ["ttl"])


async def test_create_when_it_may_only_watch_then_it_may_live_longer(api: Api, claims: Any) -> None:
    reply = await api("POST", TOKENS, json={"canPublish": False, "ttl": "2 days"})
    assert claims(reply.data["token"])["video"]["canPublish"] is False
    reply = await api("POST", TOKENS, json={"canPublish": False, "ttl": "8 days"})
    assert (reply.status, reply.fields["ttl"]) == (400, "expected at most 1w for a token that may only watch")


async def test_create_when_the_caps_are_set_then_they_hold_for_the_default_too(
    deps: Deps, admin_token: str, claims: Any
) -> None:
    rules = JoinRules(publish_ttl_s=60, view_ttl_s=120, ws_url="wss://media.example")
    services = attrs.evolve(deps.services, join_tokens=attrs.evolve(deps.services.join_tokens, rules=rules))
    api = Api(create_app(attrs.evolve(deps, services=services)), admin_token)
    reply = await api("POST", TOKENS, json={})
    assert reply.status == 201, reply.body
    token = claims(reply.data["token"])
    assert token["exp"] - token["nbf"] == 60
    assert reply.data["wsUrl"] == "wss://media.example"
    assert (await api("POST", TOKENS, json={"ttl": "61s"})).fields["ttl"].startswith("expected at most 1m")
    assert (await api("POST", TOKENS, json={"ttl": "2m", "canPublish": False})).status == 201


@pytest.mark.parametrize(
    ("asked", "publishes", "more"),
    [
        ({"hidden": True}, False, {"hidden": True}),
        ({"recorder": True}, False, {"roomRecord": True, "hidden": False}),
        ({"recorder": True, "canPublish": True}, True, {"roomRecord": True}),
        ({"audioOnly": True}, True, {"canPublishSources": ["microphone"]}),
        ({"canSubscribe": False}, True, {"canSubscribe": False}),
        ({"name": "Ann", "metadata": "any text"}, True, {}),
    ],
)
async def test_create_when_a_role_is_asked_then_its_grants(
    api: Api, claims: Any, asked: dict[str, Any], publishes: bool, more: dict[str, Any]
) -> None:
    reply = await api("POST", TOKENS, json=asked)
    token = claims(reply.data["token"])
    assert token["video"]["canPublish"] is publishes
    assert token["video"].items() >= more.items()
    assert (token.get("name"), token.get("metadata")) == (asked.get("name"), asked.get("metadata"))
    assert (reply.data["hidden"], reply.data["audioOnly"]) == (
        asked.get("hidden", False),
        asked.get("audioOnly", False),
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"room": "a b"}, "room"),
        ({"room": ""}, "room"),
        ({"room": "x" * 121}, "room"),
        ({"identity": "x" * 121}, "identity"),
        ({"identity": ""}, "identity"),
        ({"identity": "a\nb"}, "identity"),
        ({"metadata": "x" * 2001}, "metadata"),
        ({"canPublish": "yes"}, "canPublish"),
        ({"hidden": True, "canPublish": True}, "canPublish"),
        ({"canPublsh": True}, "canPublsh"),
    ],
)
async def test_create_when_a_field_is_bad_then_400_names_it(api: Api, body: dict[str, Any], field: str) -> None:
    reply = await api("POST", TOKENS, json=body)
    assert (reply.status, list(reply.fields)) == (400, [field])


async def test_play_token_when_the_app_is_public_then_a_hidden_viewer_for_six_hours(api: Api, claims: Any) -> None:
    reply = await api("GET", "/apps/live/play-token/demo", token="")
    data = dict(reply.data)
    token = claims(data.pop("token"))
    assert data == {"app": "live", "room": "live-demo", "wsUrl": "wss://hub.example", "mode": "viewer"}
    assert re.fullmatch(r"viewer-[0-9a-f]{8}", token["sub"])
    assert token["exp"] - token["nbf"] == 6 * 3600
    video = token["video"]
    assert (video["canPublish"], video["canSubscribe"], video["canPublishData"]) == (False, True, False)
    assert (video["hidden"], video["room"]) == (True, "live-demo")
    # By this the viewer is found and put out when the app becomes private.
    assert token["attributes"] == {VIEWER_ATTRIBUTE: "public"}


async def test_play_token_when_private_then_only_with_a_token_and_never_longer_than_it(
    api: Api, claims: Any, livekit_keys: LiveKitKeys, wall: Clock
) -> None:
    await api("PATCH", "/apps/live", json={"features": {"publicPlayback": False}})
    path = "/apps/live/play-token/demo"
    bare = await api("GET", path, token="")
    assert (bare.status, bare.code) == (401, "play_token_required")

    async def ask(ttl_s: int, **grant: Any) -> Any:
        room = JoinGrant(**{"room": "live-demo", "identity": "v", "can_subscribe": True, **grant})
        return await api("GET", f"{path}?token={mint_join_token(livekit_keys, room, wall(), ttl_s)}", token="")

    for ttl_s, lives in ((3600, 300), (60, 60)):
        token = claims((await ask(ttl_s)).data["token"])
        assert token["exp"] - token["nbf"] == lives
        assert "attributes" not in token
    # What it makes opens it again, and ends with the first one.
    first = (await ask(60)).data["token"]
    wall.now += timedelta(seconds=20)
    again = (await api("GET", f"{path}?token={first}", token="")).data["token"]
    assert jwt.decode(again, options={"verify_signature": False})["exp"] == claims(first)["exp"]
    assert (await ask(3600, room="live-other")).code == "play_token_invalid"
    assert (await ask(3600, can_subscribe=False)).code == "play_token_invalid"


@pytest.mark.parametrize("path", ["/apps/nope/play-token/demo", "/apps/live/play-token/a%20b"])
async def test_play_token_when_app_or_room_cannot_be_then_404(api: Api, path: str) -> None:
    assert (await api("GET", path, token="")).status == 404


async def test_play_token_when_there_is_no_livekit_then_503_but_join_tokens_are_made(
    deps: Deps, services: Services, admin_token: str
) -> None:
    def refuse() -> None:
        raise Unavailable("there is no LiveKit", hint="Install livekit-server.")

    without = attrs.evolve(services, join_tokens=attrs.evolve(services.join_tokens, require_livekit=refuse))
    api = Api(create_app(attrs.evolve(deps, services=without)), admin_token)
    reply = await api("GET", "/apps/live/play-token/demo")
    assert (reply.status, reply.json["hint"]) == (503, "Install livekit-server.")
    assert (await api("POST", TOKENS, json={})).status == 201


async def test_tokens_that_may_watch_then_the_room_expects_somebody(services: Services, deps: Deps, api: Api) -> None:
    ears = Ears()
    expecting = attrs.evolve(services, join_tokens=attrs.evolve(services.join_tokens, expecting=ears.expecting))
    asked = Api(create_app(attrs.evolve(deps, services=expecting)), api.token)
    await asked("POST", TOKENS, json={"room": "mute", "canSubscribe": False})
    assert ears.expected == []
    await asked("POST", TOKENS, json={"room": "demo", "canPublish": False})
    assert (await asked("GET", "/apps/live/play-token/door", token=None)).status == 200
    assert [key.room for key in ears.expected] == ["live-demo", "live-door"]
