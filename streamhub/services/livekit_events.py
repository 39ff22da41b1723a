"""What LiveKit's rooms mean for our streams: pure functions from participants to publications to events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from streamhub.livekit.participants import Kind, Participant
from streamhub.livekit.tokens import INGRESS_ATTRIBUTE, TYPE_ATTRIBUTE
from streamhub.model.ingress import Activity
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import (
    SourceStatus,
    State,
    StreamChanged,
    StreamEnded,
    StreamEvent,
    StreamStarted,
    StreamType,
)


@attrs.frozen
class Publication:
    """One participant with something to watch or hear. ``stale``: LiveKit could not be asked about it lately."""

    room: RoomKey
    participant: Participant
    type: StreamType
    since: datetime
    stale: bool = False

    @property
    def stream_id(self) -> str:
        """The stream's public id."""
        return f"{self.room.room}/{self.participant.identity}"

    @property
    def ingress_id(self) -> str | None:
        """The ingress it came in by, if it is one of ours."""
        return self.participant.attributes.get(INGRESS_ATTRIBUTE)

    @property
    def native(self) -> bool:
        """Whether its media is nowhere but in LiveKit: a relay of ours has it too."""
        return self.type in (StreamType.WEBRTC, StreamType.WHIP) or self.participant.kind is Kind.INGRESS

    def source(self, figures: Activity | None = None) -> SourceStatus:
        """As a room's source. LiveKit does not tell rates: those are of ``figures``, if its relay is ours."""
        video = max((t for t in self.participant.tracks if t.kind == "video"), key=lambda t: t.width, default=None)
        shown = video or next(iter(self.participant.tracks), None)
        return SourceStatus(
            stream_id=self.stream_id,
            type=self.type,
            participant=self.participant.identity,
            key_id=None,
            started_at=self.since,
            last_frame_at=None,
            fps=figures.fps if figures else None,
            bitrate=figures.bitrate if figures else None,
            width=(figures and figures.width) or (video.width or None if video else None),
            height=(figures and figures.height) or (video.height or None if video else None),
            codec=shown.mime_type.partition("/")[2].lower() or None if shown else None,
            frames=0,
            dropped={},
        )


def app_of(room: str, prefixes: Mapping[str, str]) -> RoomKey | None:
    """The room under the app whose prefix it bears (``prefixes`` is by app); None for a room of nobody here."""
    fitting = [(p, name) for name, p in prefixes.items() if room == p or room.startswith(f"{p}-")]
    if not fitting:
        return None
    return RoomKey(AppName(max(fitting, key=lambda f: len(f[0]))[1]), RoomName(room))


def stream_type(participant: Participant, types: Mapping[str, StreamType] = {}) -> StreamType | None:
    """How its media came in; None if that is shown as another stream already (a camera bridged into LiveKit).

    ``types``: of those that LiveKit's ingress service made, by sid.
    """
    word = participant.attributes.get(TYPE_ATTRIBUTE)
    if word in [t.value for t in StreamType]:
        found = StreamType(word)
        return None if found is StreamType.WS_MJPEG else found
    return types.get(participant.sid, StreamType.RTMP) if participant.kind is Kind.INGRESS else StreamType.WEBRTC


def publications(
    room: RoomKey, people: Iterable[Participant], at: datetime, types: Mapping[str, StreamType] = {}
) -> dict[str, Publication]:
    """What is published in the room, by stream id; ``types`` as above."""
    found: dict[str, Publication] = {}
    for participant in people:
        kind = stream_type(participant, types)
        if kind is not None and participant.publishes and participant.state != "disconnected":
            one = Publication(room, participant, kind, at)
            found[one.stream_id] = one
    return found


def viewers(people: Iterable[Participant]) -> int:
    """How many only watch: people without tracks, hidden ones (our pages' viewers are) included."""
    here = (p for p in people if p.kind is Kind.STANDARD and p.state in ("joined", "active") and not p.tracks)
    return sum(1 for p in here if TYPE_ATTRIBUTE not in p.attributes)


def onlookers(people: Iterable[Participant]) -> int:
    """For how many media has to be there: all who may watch, publishing or hidden too, but not those we made."""
    here = (p for p in people if p.may_watch and p.state != "disconnected" and p.kind is not Kind.INGRESS)
    return sum(1 for p in here if TYPE_ATTRIBUTE not in p.attributes)


def changes(
    before: Mapping[str, Publication], after: Mapping[str, Publication], at: datetime, reason: str = "closed"
) -> list[StreamEvent]:
    """The events that lead from one picture of a room to the next.

    Somebody who came back under the same identity and kind between the two continues the stream.
    """
    events: list[StreamEvent] = []
    for stream_id, old in before.items():
        new = after.get(stream_id)
        if new is None or new.type is not old.type:
            events.append(StreamEnded(old.room, stream_id, reason if new is None else "replaced", at))
    for stream_id, new in after.items():
        known = before.get(stream_id)
        if known is None or known.type is not new.type:
            events.append(StreamStarted(new.room, stream_id, new.type, new.participant.identity, at))
            events.append(StreamChanged(new.room, stream_id, State.LIVE, at))
        elif known.stale:
            events.append(StreamChanged(new.room, stream_id, State.LIVE, at))
    return events
