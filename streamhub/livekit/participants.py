"""Rooms and participants as LiveKit tells them: values of ours, so that protobuf stays in this package."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

import attrs
from livekit.protocol import models


class Kind(StrEnum):
    """What a participant is. ``ingress``, ``egress``, ``sip`` and ``agent`` are LiveKit's own services."""

    STANDARD = "standard"
    INGRESS = "ingress"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"
    OTHER = "other"


@attrs.frozen
class Track:
    """One published track. ``kind`` is ``audio``, ``video`` or ``data``; ``source`` LiveKit's word in lower case."""

    sid: str
    kind: str
    source: str
    mime_type: str
    muted: bool
    width: int
    height: int
    name: str = ""


@attrs.frozen
class Participant:
    """Somebody in a room. ``state`` is ``joining``, ``joined``, ``active`` or ``disconnected``."""

    sid: str
    identity: str
    name: str
    state: str
    kind: Kind
    hidden: bool
    joined_at: datetime
    metadata: str = attrs.field(repr=False)
    attributes: Mapping[str, str]
    tracks: tuple[Track, ...]
    may_watch: bool = True

    @property
    def publishes(self) -> bool:
        """Whether at least one of its audio or video tracks is there for others."""
        return not self.hidden and any(t.kind in ("audio", "video") for t in self.tracks)


@attrs.frozen
class LiveRoom:
    """A room that exists in LiveKit; ``name`` is LiveKit's, with the app's prefix."""

    sid: str
    name: str
    created_at: datetime
    participants: int
    publishers: int


def room_of(info: models.Room) -> LiveRoom:
    """LiveKit's room as a value."""
    return LiveRoom(
        sid=info.sid,
        name=info.name,
        created_at=_when(info.creation_time_ms, info.creation_time),
        participants=info.num_participants,
        publishers=info.num_publishers,
    )


def participant_of(info: models.ParticipantInfo) -> Participant:
    """LiveKit's participant as a value."""
    return Participant(
        sid=info.sid,
        identity=info.identity,
        name=info.name,
        state=models.ParticipantInfo.State.Name(info.state).lower(),
        kind=_KINDS.get(info.kind, Kind.OTHER),
        hidden=info.permission.hidden,
        joined_at=_when(info.joined_at_ms, info.joined_at),
        metadata=info.metadata,
        attributes=dict(info.attributes),
        tracks=tuple(track_of(t) for t in info.tracks),
        may_watch=info.permission.can_subscribe,
    )


def track_of(info: models.TrackInfo) -> Track:
    """LiveKit's track as a value."""
    return Track(
        sid=info.sid,
        kind=models.TrackType.Name(info.type).lower(),
        source=models.TrackSource.Name(info.source).lower(),
        mime_type=info.mime_type,
        muted=info.muted,
        width=info.width,
        height=info.height,
        name=info.name,
    )


_KINDS = {
    models.ParticipantInfo.Kind.STANDARD: Kind.STANDARD,
    models.ParticipantInfo.Kind.INGRESS: Kind.INGRESS,
    models.ParticipantInfo.Kind.EGRESS: Kind.EGRESS,
    models.ParticipantInfo.Kind.SIP: Kind.SIP,
    models.ParticipantInfo.Kind.AGENT: Kind.AGENT,
}


def _when(ms: int, seconds: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000 if ms else seconds, UTC)
