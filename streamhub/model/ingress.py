"""Ingresses: their kinds and states; of WHIP what a stream key grants, an open session, and who decides.

``ingest`` asks through the Protocol here; ``services.whip_sessions`` answers.
"""

from __future__ import annotations

import enum
from typing import Protocol

import attrs

from streamhub.model.names import RoomKey


class InputType(enum.Enum):
    """How the source of an ingress comes."""

    WHIP = "whip"
    RTMP = "rtmp"
    RTSP = "rtsp"
    URL = "url"


class IngressState(enum.Enum):
    """``buffering``: an encoder has come, and nothing of its media has arrived yet."""

    INACTIVE = "inactive"
    BUFFERING = "buffering"
    PUBLISHING = "publishing"


@attrs.frozen
class WhipGrant:
    """An accepted stream key: which room it publishes to, as whom."""

    ingress_id: str
    room: RoomKey
    identity: str
    name: str | None = None


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
