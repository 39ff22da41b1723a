from __future__ import annotations

import hmac
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from jwt.utils import base64url_decode

from streamhub.errors import Unauthorized
from streamhub.livekit.tokens import JoinGrant, LiveKitKeys, mint_join_token, verify_join_token
from tests.livekit.minting import mint

KEYS = LiveKitKeys("APIabc", "a-secret-of-at-least-thirty-two-characters")
ROOM = "live-cam1"


def raw(**changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": KEYS.api_key,
        "sub": "viewer",
        "exp": datetime.now(UTC) + timedelta(hours=1),  # cases are made long before they run in a whole suite
        "video": {"roomJoin": True, "room": ROOM},
    }
    claims |= changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, KEYS.api_secret, algorithm="HS256")


@pytest.mark.parametrize("secret", [KEYS.api_secret, "short", "ü"])
def test_mint_when_the_operator_chose_the_secret_then_its_length_is_no_matter_and_others_can_verify(
    secret: str,
) -> None:
    keys = LiveKitKeys("APIabc", secret)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        token = mint_join_token(keys, JoinGrant(room=ROOM, identity="ü"), datetime.now(UTC), 60)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    head, claims, signature = token.split(".")
    expected = hmac.digest(secret.encode(), f"{head}.{claims}".encode(), "sha256")
    assert base64url_decode(signature) == expected
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == "ü"


@pytest.mark.parametrize("secret", ["", "ssh-rsa AAAA", '{"kty": "oct"}'])
def test_mint_when_the_secret_is_none_then_it_is_refused_each_time(secret: str) -> None:
    grant = JoinGrant(room=ROOM, identity="phone")
    for _ in range(2):
        with pytest.raises(jwt.InvalidKeyError):
            mint_join_token(LiveKitKeys("APIabc", secret), grant, datetime.now(UTC), 60)


def test_verify_when_livekits_library_made_it_then_its_claims() -> None:
    claims = verify_join_token(mint(KEYS, room=ROOM, identity="phone-42"), KEYS, ROOM)
    assert (claims.room, claims.identity) == (ROOM, "phone-42")
    assert timedelta(seconds=3590) < claims.expires_at - datetime.now(UTC) <= timedelta(seconds=3600)


def test_verify_when_a_publisher_then_it_may_watch_too() -> None:
    verify_join_token(mint(KEYS, room=ROOM, can_publish=True), KEYS, ROOM)
    verify_join_token(raw(video={"room": ROOM}), KEYS, ROOM)


@pytest.mark.parametrize(
    "token",
    [
        mint(KEYS, room="live-cam2"),
        mint(KEYS, room="live"),
        mint(KEYS, room=ROOM, can_subscribe=False),
        mint(LiveKitKeys("APIother", KEYS.api_secret), room=ROOM),
        mint(LiveKitKeys(KEYS.api_key, "b-secret-of-at-least-thirty-two-characters"), room=ROOM),
        raw(video={"roomJoin": False, "room": ROOM}),
        raw(video=None),
        raw(video="live-cam1"),
        raw(video={"roomJoin": True}),
        raw(video={"room": [ROOM]}),
        raw(exp=None),
        raw(iss=None),
        raw(exp="soon"),
        raw(exp=10**30),
        raw(nbf=datetime.now(UTC) + timedelta(hours=9), exp=datetime.now(UTC) + timedelta(hours=10)),
        raw(aud="somebody else"),
        jwt.encode({"iss": KEYS.api_key, "exp": 2**33, "video": {"room": ROOM}}, "", algorithm="none"),
        jwt.encode(
            {"iss": KEYS.api_key, "exp": 2**33, "video": {"room": ROOM}}, KEYS.api_secret * 2, algorithm="HS512"
        ),
        "",
        "a.b.c",
        "sk_" + "a" * 43,
        "é.é.é",
    ],
)
def test_verify_when_anything_is_wrong_then_unauthorized(token: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        verify_join_token(token, KEYS, ROOM)
    assert not token or token not in caught.value.message


def test_verify_when_expired_then_it_says_so() -> None:
    with pytest.raises(Unauthorized) as caught:
        verify_join_token(raw(exp=datetime.now(UTC) - timedelta(minutes=1)), KEYS, ROOM)
    assert caught.value.code == "play_token_expired"


def test_verify_when_the_secret_is_short_then_no_warning_at_each_viewer() -> None:
    short = LiveKitKeys("devkey", "secretsecretsecr")
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = jwt.encode(
            {"iss": "devkey", "exp": datetime.now(UTC) + timedelta(minutes=1), "video": {"room": ROOM}},
            short.api_secret,
            algorithm="HS256",
        )
    verify_join_token(token, short, ROOM)
