"""LiveKit's webhooks: signed notes about rooms and participants. They are hints: late, lost, doubled, out of order.

A note is a JWT in ``Authorization``, signed with the API secret, that holds the SHA-256 of the raw body. LiveKit gives
it five minutes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import warnings
from datetime import UTC, datetime

import attrs
import jwt
from google.protobuf.json_format import Parse, ParseError
from livekit.protocol import webhook as proto

from streamhub.errors import BadRequest, Unauthorized
from streamhub.livekit.participants import Participant, Track, participant_of, track_of
from streamhub.livekit.tokens import LiveKitKeys

LEEWAY_S = 10
# A signature that is good for longer than this is not LiveKit's.
LONGEST_S = 600
REPLAY_WINDOW_S = LONGEST_S + 2 * LEEWAY_S
PARTICIPANT_EVENTS = frozenset({"participant_joined", "participant_left", "participant_connection_aborted"})
TRACK_EVENTS = frozenset({"track_published", "track_unpublished"})


@attrs.frozen
class LiveKitEvent:
    """One note. ``id`` is the same each time LiveKit sends it; ``room`` is LiveKit's name, None if it is about none."""

    id: str
    name: str
    at: datetime
    room: str | None
    participant: Participant | None = None
    track: Track | None = None

    @property
    def may_change_streams(self) -> bool:
        """Whether it says that somebody came, went, or changed what they publish."""
        return self.room is not None and (
            self.name in PARTICIPANT_EVENTS | TRACK_EVENTS or self.name.startswith(("room_", "ingress_"))
        )

    @property
    def about_ingress(self) -> bool:
        """Whether LiveKit's ingress service did something."""
        return self.name.startswith("ingress_")

    @property
    def about_egress(self) -> bool:
        """Whether LiveKit's egress service did something."""
        return self.name.startswith("egress_")


def receive_webhook(body: bytes, authorization: str | None, keys: LiveKitKeys, now: datetime) -> LiveKitEvent:
    """The event of a request. Raises Unauthorized unless LiveKit signed exactly these bytes within the replay window.

    Raises BadRequest for signed bytes that are no event.
    """
    _check_signature(body, authorization, keys, now)
    try:
        event = Parse(body, proto.WebhookEvent(), ignore_unknown_fields=True)
        at = datetime.fromtimestamp(event.created_at, UTC)
    except (ParseError, UnicodeDecodeError, ValueError, OverflowError, OSError, RecursionError):
        raise BadRequest("the body is not a LiveKit webhook", code="bad_webhook") from None
    if not event.id or not event.event:
        raise BadRequest("the webhook has no id or no name", code="bad_webhook")
    return LiveKitEvent(
        id=event.id,
        name=event.event,
        at=at,
        room=event.room.name or event.ingress_info.room_name or event.egress_info.room_name or None,
        participant=participant_of(event.participant) if event.HasField("participant") else None,
        track=track_of(event.track) if event.HasField("track") else None,
    )


def _check_signature(body: bytes, authorization: str | None, keys: LiveKitKeys, now: datetime) -> None:
    token = (authorization or "").strip()
    token = token[7:].strip() if token[:7].lower() == "bearer " else token
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
            claims = jwt.decode(
                token,
                keys.api_secret,
                algorithms=["HS256"],
                issuer=keys.api_key,
                # The times are checked below, by the clock that we are given.
                options={"require": ["exp", "iss"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        expires, begins = int(claims["exp"]), int(claims.get("nbf", 0))
        digest = base64.b64decode(claims["sha256"], validate=True)
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, OverflowError, binascii.Error):
        raise _refused() from None
    at = now.timestamp()
    if not at - LEEWAY_S <= expires <= at + LONGEST_S + LEEWAY_S or begins > at + LEEWAY_S:
        raise _refused()
    if not hmac.compare_digest(digest, hashlib.sha256(body).digest()):
        raise _refused()


def _refused() -> Unauthorized:
    # One answer for every fault: whoever forges learns nothing.
    return Unauthorized(
        "invalid LiveKit webhook signature",
        code="webhook_signature",
        hint="LiveKit must sign with the API key and secret of this server, and the clocks of both must be right.",
    )
