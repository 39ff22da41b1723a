"""What is asked of ingresses, and what is told of them."""

# ruff: noqa: RUF009 - declared() makes the attrs field itself, not its default.

from __future__ import annotations

import re
from datetime import datetime

import attrs

from streamhub.model.ingress import Activity, InputType
from streamhub.model.names import ROOM_NAME
from streamhub.services.fields import PRINTABLE, between, declared, length, like

STREAM_KEY = re.compile(r"[A-Za-z0-9_-]{24,200}", re.ASCII)
_ROOM = like(ROOM_NAME, "1 to 120 of letters, digits, '.', '_' and '-'")


@attrs.frozen
class NewIngress:
    """A request for an ingress."""

    input_type: InputType = declared("How the source comes: 'whip'; in LiveKit also 'rtmp' and 'url'.")
    room: str | None = declared("The room it publishes to; default: the app's prefix.", _ROOM, default=None)
    participant_identity: str | None = declared(
        "Its identity in the room, unique there; default: 'ingress-<app>'.",
        length(1, 120),
        PRINTABLE,
        default=None,
    )
    participant_name: str | None = declared("The name others see.", length(1, 120), PRINTABLE, default=None)
    enable_transcoding: bool | None = declared("Of LiveKit's ingress service; our WHIP never transcodes.", default=None)
    url: str | None = declared("What to pull, with 'url'.", length(1, 500), default=None, secret=True)
    stream_key: str | None = declared(
        "Your own key instead of a made one (right 'manage').",
        like(STREAM_KEY, "24 to 200 of letters, digits, '_' and '-'"),
        default=None,
        secret=True,
    )


@attrs.frozen
class IngressPatch:
    """A change of an ingress; what is left out stays."""

    enabled: bool | None = declared("Whether it lets its source in; switched off, the source is disconnected.")


@attrs.frozen
class IngressQuery:
    """Which ingresses are wanted."""

    room: str | None = declared("Only those of this room, short or with the prefix.", length(1, 200), default=None)
    q: str | None = declared("Only those with this text in id, name, identity or room.", length(0, 200), default=None)
    limit: int = declared("Most rows in the answer.", between(1, 500), default=50)
    offset: int = declared("Rows left out at the start.", between(0, 1_000_000_000), default=0)


@attrs.frozen
class Ingress:
    """An ingress as everybody may see it, and what its source is doing. ``url`` None: at our own door."""

    id: str
    input_type: InputType
    room: str
    room_given: str
    identity: str
    name: str | None
    key_prefix: str
    enabled: bool
    created_at: datetime
    last_used_at: datetime | None
    activity: Activity = attrs.field(factory=Activity)
    adaptive: bool = False
    url: str | None = None


@attrs.frozen
class IssuedIngress:
    """An ingress with its stream key, for the only time; a pull has none."""

    ingress: Ingress
    secret: str | None = attrs.field(repr=False)
