"""LiveKit's join tokens: HS256 JWTs signed with the API secret."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs
import jwt
from jwt.algorithms import HMACAlgorithm

from streamhub.errors import Unauthorized

LEEWAY_S = 10
# Attributes of the participants whose tokens we mint for ourselves: how their media came in, and by which ingress.
# Nobody else can set them: no token of ours carries canUpdateOwnMetadata.
TYPE_ATTRIBUTE = "streamhub.type"
INGRESS_ATTRIBUTE = "streamhub.ingress"
# On viewers who came in only because the app's playback is public: they leave when it no longer is.
VIEWER_ATTRIBUTE = "streamhub.viewer"


@attrs.frozen
class LiveKitKeys:
    """The pair by which LiveKit and we know each other."""

    api_key: str
    api_secret: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class JoinGrant:
    """Whom a join token lets in, and what they may do there.

    ``sources`` not empty: they may publish these kinds of track only (LiveKit's names: ``camera``, ``microphone``…).
    """

    room: str
    identity: str
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    can_publish: bool = False
    can_subscribe: bool = False
    can_publish_data: bool = False
    hidden: bool = False
    recorder: bool = False
    sources: tuple[str, ...] = ()


def mint_join_token(keys: LiveKitKeys, grant: JoinGrant, at: datetime, ttl_s: int) -> str:
    """A token that is good from ``at`` on for so long.

    Every permission is written out: LiveKit allows what is left out.
    """
    video: dict[str, Any] = {
        "roomJoin": True,
        "room": grant.room,
        "canPublish": grant.can_publish,
        "canSubscribe": grant.can_subscribe,
        "canPublishData": grant.can_publish_data,
        "canUpdateOwnMetadata": False,
        "hidden": grant.hidden,
        "roomRecord": grant.recorder,
    }
    if grant.can_publish and grant.sources:
        video["canPublishSources"] = list(grant.sources)
    issued = int(at.timestamp())
    claims: dict[str, Any] = {
        "sub": grant.identity,
        "nbf": issued,
        "exp": issued + ttl_s,
        "video": video,
    }
    if grant.name is not None:
        claims["name"] = grant.name
    if grant.metadata is not None:
        claims["metadata"] = grant.metadata
    if grant.attributes:
        claims["attributes"] = dict(grant.attributes)
    return signed(keys, claims)


_hs256 = HMACAlgorithm(HMACAlgorithm.SHA256)
# What PyJWT refuses as a secret (an empty one, a certificate) is refused; but to look for it costs more than to sign.
_prepared = functools.lru_cache(maxsize=4)(_hs256.prepare_key)


class _OwnSecret(HMACAlgorithm):
    """HS256 with the secret of the settings, looked at once. Its length is the operator's choice."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return _prepared(key)

    def check_key_length(self, key: bytes) -> str | None:
        return None


_signer = jwt.PyJWS(algorithms=[])
_signer.register_algorithm("HS256", _OwnSecret(HMACAlgorithm.SHA256))


def signed(keys: LiveKitKeys, claims: Mapping[str, Any]) -> str:
    """A token of ours that says this; times are whole seconds since 1970 (RFC 7519 §2).

    Raises InvalidKeyError if the secret is none.
    """
    payload = json.dumps({"iss": keys.api_key, **claims}, separators=(",", ":"))
    return _signer.encode(payload.encode(), keys.api_secret, "HS256")


@attrs.frozen
class JoinClaims:
    """What a valid join token grants: the room, as whom, until when."""

    room: str
    identity: str | None
    expires_at: datetime


def verify_join_token(token: str, keys: LiveKitKeys, room: str) -> JoinClaims:
    """The claims of a token that lets its bearer watch the room. Raises Unauthorized for any other.

    Signature, issuer, ``exp`` (required) and ``nbf`` are checked, and the grant itself: a token of another room, or
    one that may not subscribe, is refused.
    """
    try:
        with warnings.catch_warnings():
            # A short secret is the choice of whoever set up LiveKit; a warning at each viewer helps nobody.
            warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
            claims = jwt.decode(
                token,
                keys.api_secret,
                algorithms=["HS256"],
                issuer=keys.api_key,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss"]},
            )
        expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
    except jwt.ExpiredSignatureError:
        raise _refused("the play token has expired", "play_token_expired") from None
    except (jwt.InvalidTokenError, ValueError, OverflowError, OSError):
        raise _refused("the play token is not valid", "play_token_invalid") from None
    grant = claims.get("video")
    if not isinstance(grant, dict) or grant.get("room") != room:
        raise _refused("the play token is not for this room", "play_token_invalid")
    if grant.get("roomJoin") is False or grant.get("canSubscribe") is False:
        raise _refused("the play token does not allow to watch", "play_token_invalid")
    subject = claims.get("sub")
    return JoinClaims(
        room=room,
        identity=subject if isinstance(subject, str) else None,
        expires_at=expires_at,
    )


def _refused(message: str, code: str) -> Unauthorized:
    return Unauthorized(message, code=code, hint="Ask whoever shared this camera for a new link or token.")
