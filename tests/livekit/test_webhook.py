from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from streamhub.errors import BadRequest, Unauthorized
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.livekit.webhook import receive_webhook
from tests.fakes.livekit import note, sign

KEYS = LiveKitKeys("APIabc", "a-secret-of-at-least-thirty-two-characters")
BODY = note("participant_joined")


def now() -> datetime:
    return datetime.now(UTC)


def raw(body: bytes = BODY, **changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": KEYS.api_key,
        "nbf": now(),
        "exp": now() + timedelta(minutes=5),
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    return jwt.encode(
        {k: v for k, v in (claims | changes).items() if v is not None}, KEYS.api_secret, algorithm="HS256"
    )


def test_webhook_when_livekit_signed_it_then_its_event() -> None:
    body = note(
        "track_published",
        event_id="EV_9",
        participant={
            "sid": "PA_1",
            "identity": "ann",
            "attributes": {"streamhub.type": "whip"},
            "kind": "INGRESS",
            "permission": {"hidden": True},
        },
        track={"sid": "TR_1", "type": "VIDEO", "source": "CAMERA", "mimeType": "video/H264", "width": 640},
        somethingNew={"x": 1},
    )
    event = receive_webhook(body, sign(KEYS, body), KEYS, now())
    assert (event.id, event.name, event.room) == ("EV_9", "track_published", "live-demo")
    assert event.at == datetime.fromtimestamp(1795435200, UTC)
    assert event.may_change_streams
    assert event.participant is not None
    assert event.track is not None
    assert (event.participant.identity, event.participant.hidden, event.participant.kind.value) == (
        "ann",
        True,
        "ingress",
    )
    assert event.participant.attributes == {"streamhub.type": "whip"}
    assert (event.track.kind, event.track.source, event.track.width) == ("video", "camera", 640)
    assert receive_webhook(body, f"Bearer {sign(KEYS, body)}", KEYS, now()) == event


@pytest.mark.parametrize(
    ("name", "room", "may"),
    [
        ("participant_left", "live-demo", True),
        ("room_finished", "live-demo", True),
        ("ingress_started", "live-demo", True),
        ("egress_started", "live-demo", False),
        ("something_new", "live-demo", False),
        ("participant_left", "", False),
    ],
)
def test_webhook_then_it_says_whether_streams_may_have_changed(name: str, room: str, may: bool) -> None:
    body = note(name, room)
    assert receive_webhook(body, sign(KEYS, body), KEYS, now()).may_change_streams is may


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "a.b.c",
        raw(BODY + b" "),
        raw(sha256=None),
        raw(sha256=5),
        raw(sha256="zz!"),
        raw(sha256=hashlib.sha256(BODY).hexdigest()),
        raw(iss="APIother"),
        raw(iss=None),
        raw(exp=None),
        raw(exp="soon"),
        raw(exp=now() - timedelta(seconds=11)),
        raw(exp=now() + timedelta(hours=1)),
        raw(exp=10**30),
        raw(nbf=now() + timedelta(hours=1)),  # collected long before it runs in a whole suite
        jwt.encode({"iss": KEYS.api_key, "exp": 2**33, "sha256": "x"}, "", algorithm="none"),
        sign(LiveKitKeys(KEYS.api_key, "b-secret-of-at-least-thirty-two-characters"), BODY),
        "sk_" + "a" * 43,
    ],
)
def test_webhook_when_the_signature_is_not_livekits_then_unauthorized(authorization: str | None) -> None:
    with pytest.raises(Unauthorized) as caught:
        receive_webhook(BODY, authorization, KEYS, now())
    assert (caught.value.code, caught.value.message) == ("webhook_signature", "invalid LiveKit webhook signature")


def test_webhook_when_one_byte_of_the_body_changes_then_unauthorized() -> None:
    token = sign(KEYS, BODY)
    receive_webhook(BODY, token, KEYS, now())
    for at in range(len(BODY)):
        with pytest.raises(Unauthorized):
            receive_webhook(BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :], token, KEYS, now())


def test_webhook_when_its_time_is_over_then_unauthorized() -> None:
    token = sign(KEYS, BODY)
    receive_webhook(BODY, token, KEYS, now() + timedelta(seconds=305))
    with pytest.raises(Unauthorized):
        receive_webhook(BODY, token, KEYS, now() + timedelta(seconds=311))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"{}",
        note("", event_id="x"),
        note("x", event_id=""),
        json.dumps({"event": "x", "id": "y", "createdAt": "9" * 18}).encode(),
        json.dumps({"event": "x", "id": "y", "createdAt": "soon"}).encode(),
        json.dumps({"event": 5, "id": "y"}).encode(),
        b'{"room":' * 20_000,
    ],
)
def test_webhook_when_signed_bytes_are_no_event_then_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        receive_webhook(body, sign(KEYS, body), KEYS, now())
    assert caught.value.code == "bad_webhook"
