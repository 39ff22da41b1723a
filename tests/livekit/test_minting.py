"""Our tokens, read by LiveKit's own library."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta

import pytest
from livekit import api

from streamhub.errors import Unauthorized
from streamhub.livekit.tokens import INGRESS_ATTRIBUTE, JoinGrant, LiveKitKeys, mint_join_token, verify_join_token

KEYS = LiveKitKeys("APIabc", "a-secret-of-at-least-thirty-two-characters")


def read(token: str) -> api.access_token.Claims:
    return api.TokenVerifier(KEYS.api_key, KEYS.api_secret).verify(token)


def test_mint_when_everything_is_said_then_livekits_library_reads_it() -> None:
    grant = JoinGrant(
        room="live-demo",
        identity="phone-42",
        name="Ann",
        metadata="{}",
        attributes={INGRESS_ATTRIBUTE: "ing_1"},
        can_publish=True,
        can_subscribe=True,
        can_publish_data=True,
        recorder=True,
        sources=("microphone",),
    )
    found = read(mint_join_token(KEYS, grant, datetime.now(UTC), 60))
    assert (found.identity, found.name, found.metadata) == ("phone-42", "Ann", "{}")
    assert found.attributes == {INGRESS_ATTRIBUTE: "ing_1"}
    video = found.video
    assert video is not None
    assert (video.room_join, video.room, video.hidden, video.room_record) == (True, "live-demo", False, True)
    assert (video.can_publish, video.can_subscribe, video.can_publish_data) == (True, True, True)
    assert video.can_publish_sources == ["microphone"]


def test_mint_when_nothing_is_granted_then_everything_is_denied_in_words() -> None:
    video = read(mint_join_token(KEYS, JoinGrant(room="r", identity="i"), datetime.now(UTC), 60)).video
    assert video is not None
    assert (video.can_publish, video.can_subscribe, video.can_publish_data) == (False, False, False)
    assert video.can_update_own_metadata is False
    assert video.can_publish_sources is None


def test_mint_when_it_may_subscribe_then_it_opens_private_pictures_until_it_ends() -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    grant = JoinGrant(room="live-demo", identity="v", can_subscribe=True)
    assert verify_join_token(mint_join_token(KEYS, grant, at, 90), KEYS, "live-demo").expires_at == at + timedelta(
        seconds=90
    )
    with pytest.raises(Unauthorized) as caught:
        verify_join_token(mint_join_token(KEYS, grant, at - timedelta(hours=1), 90), KEYS, "live-demo")
    assert caught.value.code == "play_token_expired"


def test_mint_when_the_secret_is_short_then_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mint_join_token(
            LiveKitKeys("devkey", "secretsecretsecr"), JoinGrant(room="r", identity="i"), datetime.now(UTC), 1
        )
