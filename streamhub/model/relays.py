"""Relays: sources that a worker of ours takes in and passes on, pushed by RTMP or pulled from an address.

``ingest`` asks through the Protocols here; ``services.relay_sources`` answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeAlias

import attrs

from streamhub.errors import StreamHubError
from streamhub.model.ingress import Activity, IngressState, InputType, WhipGrant
from streamhub.model.names import RoomKey


@attrs.frozen
class RelayGrant:
    """A source let in: which ingress it belongs to, where it publishes and as whom."""

    ingress_id: str
    type: InputType
    room: RoomKey
    identity: str
    name: str | None = None

    @property
    def whip(self) -> WhipGrant:
        """How it publishes to LiveKit."""
        return WhipGrant(self.ingress_id, self.room, self.identity, self.name, self.type.stream_type)


@attrs.frozen(kw_only=True)
class PullSource:
    """What a pull row says. ``url`` holds its credentials; it is never logged."""

    grant: RelayGrant
    url: str = attrs.field(repr=False)
    transport: Literal["tcp", "udp", "auto"] = "auto"
    on_demand: bool = False
    max_gop_s: float = 0.0
    max_height: int = 0
    enabled: bool = True


# Bytes of the pushed stream, in order. Raises SourceOver when nothing more is wanted (taken over, switched off).
SendMedia: TypeAlias = Callable[[bytes], Awaitable[None]]


class SourceOver(Exception):
    """The relay takes nothing more of this source; ``reason`` is a stable word: ``replaced``, ``deleted``, ``failed``…

    ``message`` may be shown to the encoder's owner.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class PushAuthority(Protocol):
    """Decides about RTMP publishers."""

    async def authorise_push(self, key: str) -> RelayGrant:
        """What the stream key grants. Raises Unauthorized (unknown key), Forbidden (switched off)."""
        ...


class OpensPush(Protocol):
    """Takes pushed sources in; ``ingest.relays`` in the server."""

    def push(self, grant: RelayGrant) -> AbstractAsyncContextManager[SendMedia]:
        """Open the source for the time of the block; an older one of the same ingress is ended first.

        What is sent is an FLV file, its header first. Raises Unavailable.
        """
        ...


@attrs.frozen(kw_only=True)
class ProbedTrack:
    """One track that a probe found, as ``wire.relay_control.Track`` tells it."""

    kind: Literal["video", "audio"]
    codec: str
    profile: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    b_frames: bool = False
    rate: int | None = None
    channels: int | None = None


@attrs.frozen(kw_only=True)
class Plan:
    """What a source would cost on one output; ``why`` in a person's words."""

    output: Literal["webrtc", "hls", "mjpeg"]
    video: Literal["copy", "encode", "none"]
    audio: Literal["copy", "encode", "none"]
    why: str = ""


@attrs.frozen(kw_only=True)
class Probe:
    """What a source has, seen for some seconds. ``gop_s`` between its key frames, ``bitrate`` in bit/s."""

    tracks: tuple[ProbedTrack, ...]
    gop_s: float | None = None
    bitrate: int | None = None
    plans: tuple[Plan, ...] = ()
    hints: tuple[str, ...] = ()
    jpeg: bytes | None = attrs.field(default=None, repr=False)


class SourceUnusable(StreamHubError):
    """A probed source gives nothing: the message says what it answered, without its credentials."""

    status, code = 422, "source_unusable"
    hint = "Check the address, user and password in a player on the server's network, such as ffplay."


class ProbesSource(Protocol):
    """Looks at a source once; the supervisor of the relays in the server."""

    async def probe(self, source: PullSource) -> Probe:
        """What it has; the deadline is the caller's. Raises SourceUnusable; Unavailable if no worker can be had."""
        ...


@attrs.frozen
class FailingRelay:
    """A relay whose source does not come; it is tried again."""

    ingress_id: str
    room: RoomKey
    error: str
    hint: str | None = None


@attrs.frozen
class RelayCounts:
    """All relays of the server: how many by app and state, of which ``running`` take part in the cap ``most``.

    ``restarts`` since the server's start by app and the stable word for why the one before ended; ``encoders`` are
    connected by RTMP, publishing or about to.
    """

    running: int
    most: int
    by_state: Mapping[tuple[str, IngressState], int] = attrs.field(factory=dict)
    failing: tuple[FailingRelay, ...] = ()
    restarts: Mapping[tuple[str, str], int] = attrs.field(factory=dict)
    encoders: int = 0


class RelayStates(Protocol):
    """What the relays are doing; the supervisor of the relays in the server."""

    def counts(self) -> RelayCounts:
        """All of them."""
        ...

    def activity(self, ingress_id: str) -> Activity | None:
        """Of the ingress's relay; None if it has none and nothing is known of a former one."""
        ...


class EndsRelay(Protocol):
    """Ends relays whose row no longer allows them; the supervisor of the relays in the server."""

    async def end(self, ingress_id: str) -> None:
        """The ingress's relay is over when this returns, within seconds; without one nothing happens.

        The row is changed already, and ``RelaySources.changed`` has been called: a pull must not come back by itself.
        """
        ...
