"""What is asked of ingresses, and what is told of them."""

# ruff: noqa: RUF009 - declared() makes the attrs field itself, not its default.

from __future__ import annotations

import enum
import re
from datetime import datetime

import attrs

from streamhub.model.ingress import Activity, InputType
from streamhub.model.names import ROOM_NAME
from streamhub.services.fields import PRINTABLE, UNSET, Unset, between, declared, length, like

RTMP_PORT = 1935
STREAM_KEY = re.compile(r"[A-Za-z0-9_-]{24,200}", re.ASCII)
_ROOM = like(ROOM_NAME, "1 to 120 of letters, digits, '.', '_' and '-'")


class Transport(enum.Enum):
    """How RTSP's media comes; ``auto``: by TCP, by UDP where the camera refuses that."""

    TCP = "tcp"
    UDP = "udp"
    AUTO = "auto"


_NAME = "The name others see."
_ON_DEMAND = "Of a pull: taken in only while somebody watches."
_TRANSPORT = "Of an rtsp pull: how its media comes."
_MAX_GOP = "Of a pull: key frames further apart than this many seconds are made anew (costs CPU); 0: any distance."
_MAX_HEIGHT = "Of a pull: most lines of a picture that has to be encoded; 0: any."
_GOP_LIMITS, _HEIGHT_LIMITS = between(0, 60), between(0, 4320)
_URL_LENGTH = length(1, 500)


@attrs.frozen
class NewIngress:
    """A request for an ingress."""

    input_type: InputType = declared("How the source comes: pushed ('rtmp', 'whip') or pulled ('rtsp', 'url').")
    room: str | None = declared("The room it publishes to; default: the app's prefix.", _ROOM, default=None)
    participant_identity: str | None = declared(
        "Its identity in the room, unique there; default: 'ingress-<app>'.",
        length(1, 120),
        PRINTABLE,
        default=None,
    )
    participant_name: str | None = declared(_NAME, length(1, 120), PRINTABLE, default=None)
    enable_transcoding: bool | None = declared(
        "Of LiveKit's ingress service; StreamHub transcodes what a codec forces it to, and nothing else.", default=None
    )
    url: str | None = declared("What to pull: rtsp, rtsps, http or https.", _URL_LENGTH, default=None, secret=True)
    on_demand: bool | None = declared(_ON_DEMAND, default=None)
    transport: Transport | None = declared(_TRANSPORT, default=None)
    max_gop_seconds: float | None = declared(_MAX_GOP, _GOP_LIMITS, default=None)
    max_height: int | None = declared(_MAX_HEIGHT, _HEIGHT_LIMITS, default=None)
    enabled: bool = declared("Whether it lets its source in.", default=True)
    stream_key: str | None = declared(
        "Your own key instead of a made one (right 'manage').",
        like(STREAM_KEY, "24 to 200 of letters, digits, '_' and '-'"),
        default=None,
        secret=True,
    )


@attrs.frozen
class IngressPatch:
    """Changes of an ingress; what is not sent stays, null removes."""

    enabled: bool | Unset = declared(
        "Whether it lets its source in; switched off, the source is disconnected.", default=UNSET
    )
    participant_name: str | Unset | None = declared(_NAME, length(1, 120), PRINTABLE, default=UNSET)
    url: str | Unset = declared("What to pull instead.", _URL_LENGTH, default=UNSET, secret=True)
    on_demand: bool | Unset = declared(_ON_DEMAND, default=UNSET)
    transport: Transport | Unset = declared(_TRANSPORT, default=UNSET)
    max_gop_seconds: float | Unset | None = declared(_MAX_GOP, _GOP_LIMITS, default=UNSET)
    max_height: int | Unset | None = declared(_MAX_HEIGHT, _HEIGHT_LIMITS, default=UNSET)


@attrs.frozen
class IngressQuery:
    """Which ingresses are wanted."""

    room: str | None = declared("Only those of this room, short or with the prefix.", length(1, 200), default=None)
    q: str | None = declared("Only those with this text in id, name, identity or room.", length(0, 200), default=None)
    limit: int = declared("Most rows in the answer.", between(1, 500), default=50)
    offset: int = declared("Rows left out at the start.", between(0, 1_000_000_000), default=0)


@attrs.frozen
class PullOptions:
    """How we pull a source; 0: no limit."""

    transport: Transport = Transport.AUTO
    on_demand: bool = False
    max_gop_s: float = 0.0
    max_height: int = 0


@attrs.frozen
class Ingress:
    """An ingress as everybody may see it, and what its source is doing.

    ``url`` None: at our own door, which for RTMP is ``rtmp_port`` of this host. ``pull``: of those that we pull.
    """

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
    rtmp_port: int = RTMP_PORT
    pull: PullOptions | None = None


@attrs.frozen
class IssuedIngress:
    """An ingress with its stream key, for the only time; a pull has none."""

    ingress: Ingress
    secret: str | None = attrs.field(repr=False)
