"""Streams: their type, their states, and the events that change them.

A *stream* is one participant publishing to a room; its id is ``<room>/<identity>``. All changes of a stream
pass through ``services.ledger`` as the events below.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TypeAlias

import attrs

from streamhub.model.names import RoomKey


class StreamType(enum.Enum):
    """How the media comes in (the contract's ``type``)."""

    WEBRTC = "webrtc"
    RTMP = "rtmp"
    RTSP = "rtsp"
    WHIP = "whip"
    WS_MJPEG = "ws-mjpeg"


class State(enum.Enum):
    """Liveness of a source. ``OFFLINE``: nobody publishes; ``ENDED``: this publication is over for good."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    ENDED = "ended"

    @property
    def active(self) -> bool:
        """Whether the contract's ``status`` is ``active``."""
        return self in (State.CONNECTING, State.LIVE, State.STALE)


@attrs.frozen
class StreamStarted:
    """A publication began. Of an already active stream (a camera replacing its own connection) it changes nothing."""

    room: RoomKey
    stream_id: str
    type: StreamType
    participant: str
    at: datetime
    key_id: str | None = None


@attrs.frozen
class StreamChanged:
    """A live publication changed its state (connecting, live, stale)."""

    room: RoomKey
    stream_id: str
    state: State
    at: datetime


@attrs.frozen
class StatsReported:
    """A device's own figures, merged with ours, as one JSON text."""

    room: RoomKey
    stream_id: str
    stats_json: str
    at: datetime


@attrs.frozen
class StreamEnded:
    """A publication is over. ``reason`` is a stable word: ``closed``, ``idle_timeout``, ``replaced``, ``deleted``…"""

    room: RoomKey
    stream_id: str
    reason: str
    at: datetime


StreamEvent: TypeAlias = StreamStarted | StreamChanged | StatsReported | StreamEnded


@attrs.frozen
class SourceStatus:
    """What a room's source is delivering now.

    ``fps`` and ``bitrate`` (bit/s) are over the last five seconds, None where nobody measures them;
    ``width``/``height`` in pixels once a frame has shown them; ``dropped`` counts frames by reason (``fps``,
    ``too_large``, ``not_jpeg``, ``superseded``).
    """

    stream_id: str
    type: StreamType
    participant: str
    key_id: str | None
    started_at: datetime
    last_frame_at: datetime | None
    fps: float | None
    bitrate: int | None
    width: int | None
    height: int | None
    codec: str | None
    frames: int
    dropped: dict[str, int]
    stats_json: str | None = None


@attrs.frozen
class RoomStatus:
    """A room in memory: its state, since when (None: never seen), its source, viewers by output.

    Outputs are ``mjpeg``, ``ws``, ``hls`` (an estimate, see ``rooms.hls_readers``) and ``webrtc``.
    """

    key: RoomKey
    state: State
    since: datetime | None
    source: SourceStatus | None
    viewers: dict[str, int]


@attrs.frozen
class Published:
    """What LiveKit has of a room: live or stale (it cannot be asked just now), since when, how many publish.

    ``native``: how many of them brought their media there by themselves, not by a relay of ours.
    """

    state: State
    since: datetime
    publishers: int
    native: int = 0


@attrs.frozen
class EndOrder:
    """Why a source is made to leave: WebSocket close code and text, and the word for ``StreamEnded.reason``."""

    close_code: int
    text: str
    reason: str


KEY_REVOKED = EndOrder(4401, "key revoked", "key_revoked")
REPLACED = EndOrder(4409, "replaced by new connection", "replaced")
STREAM_DELETED = EndOrder(4403, "stream deleted", "deleted")
APP_DELETED = EndOrder(4401, "unknown_app", "app_deleted")
SERVER_STOPPING = EndOrder(1012, "server restart", "server_stopping")
