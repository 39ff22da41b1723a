"""Ingresses: their kinds and states; of WHIP what a stream key grants, an open session, and who decides.

``ingest`` asks through the Protocols here; ``services.whip_sessions`` and ``services.livekit_ingress`` answer.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Protocol

import attrs

from streamhub.model.names import RoomKey
from streamhub.model.streams import State, StreamType


class InputType(enum.Enum):
    """How the source of an ingress comes."""

    WHIP = "whip"
    RTMP = "rtmp"
    RTSP = "rtsp"
    URL = "url"

    @property
    def stream_type(self) -> StreamType:
        """The type of its streams: every pull is ``rtsp`` there."""
        return StreamType.RTSP if self is InputType.URL else StreamType(self.value)

    @property
    def pulled(self) -> bool:
        """Whether we go to the source, instead of it coming to us by a stream key."""
        return self in (InputType.RTSP, InputType.URL)


class IngressState(enum.Enum):
    """``buffering``: a source has come, and nothing of its media has arrived yet. ``complete``: a pull that ended."""

    INACTIVE = "inactive"
    BUFFERING = "buffering"
    PUBLISHING = "publishing"
    ERROR = "error"
    COMPLETE = "complete"

    @property
    def active(self) -> bool:
        """Whether there is a source."""
        return self in (IngressState.BUFFERING, IngressState.PUBLISHING)

    @property
    def liveness(self) -> State:
        """The same in the words of streams: whether there is a picture."""
        return _LIVENESS[self]


_LIVENESS = {
    IngressState.INACTIVE: State.OFFLINE,
    IngressState.BUFFERING: State.CONNECTING,
    IngressState.PUBLISHING: State.LIVE,
    IngressState.ERROR: State.OFFLINE,
    IngressState.COMPLETE: State.ENDED,
}


@attrs.frozen
class WhipGrant:
    """A publication by WHIP let in: which room it publishes to, as whom, and as what it is shown.

    ``ingress_id`` is empty where there is no ingress: a camera has its key.
    """

    ingress_id: str
    room: RoomKey
    identity: str
    name: str | None = None
    type: StreamType = StreamType.WHIP


@attrs.frozen
class WhipSession:
    """An open session. ``resource`` is its path in LiveKit, ``etag`` LiveKit's, ``mid`` and ``ufrag`` the offer's."""

    ingress_id: str
    room: str
    identity: str
    resource: str
    etag: str
    mid: str
    ufrag: str


@attrs.frozen
class Activity:
    """What the source of an ingress is doing. ``started_at``: while there is one; ``last_came_at``: the last one.

    ``error`` says why it failed, or why nothing newer is known; ``retry_at``: when it is tried again. ``bitrate`` in
    bit/s, the size in pixels, ``keyframe_interval_s`` between the source's key frames; ``hints`` are for people.
    """

    state: IngressState = IngressState.INACTIVE
    started_at: datetime | None = None
    last_came_at: datetime | None = None
    error: str | None = None
    bitrate: int | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    keyframe_interval_s: float | None = None
    retry_at: datetime | None = None
    hints: tuple[str, ...] = ()


@attrs.frozen
class BookedIngress:
    """What our rows say about an ingress that LiveKit has for us: ``livekit_id`` is its id there."""

    livekit_id: str
    room: str
    enabled: bool


class IngressBook(Protocol):
    """The rows about LiveKit's ingresses: what should be there."""

    async def booked(self) -> tuple[list[BookedIngress], list[str]]:
        """Those that should be there, and LiveKit's ids of those that should go. Raises StoreError."""
        ...

    async def removed(self, livekit_id: str) -> None:
        """That one has gone. Raises StoreError."""
        ...


class WhipAuthority(Protocol):
    """Decides about WHIP publications and remembers their sessions."""

    async def authorise(self, key: str) -> WhipGrant:
        """What the stream key grants. Raises Unauthorized (unknown key), Forbidden (switched off)."""
        ...

    async def opened(self, grant: WhipGrant, session: WhipSession) -> str:
        """The secret id of a new session, which replaces the ingress's former one. Raises Unauthorized: key revoked."""
        ...

    async def session(self, session_id: str, key: str | None) -> WhipSession:
        """The open session of that secret id. Raises NotFound; Forbidden if ``key`` is given and not the session's."""
        ...

    async def closed(self, session_id: str) -> None:
        """Forget a session."""
        ...
