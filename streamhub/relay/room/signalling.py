"""LiveKit's signalling as a subscriber speaks it: protobuf messages in, values and messages out; no I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import attrs
from livekit.protocol import models, rtc

from streamhub.relay.failures import Failure
from streamhub.relay.room.people import Person, PublishedTrack

PROTOCOL: Final = 15
_SCREENS = (models.TrackSource.SCREEN_SHARE,)
_REMOVED = (
    models.DisconnectReason.PARTICIPANT_REMOVED,
    models.DisconnectReason.ROOM_DELETED,
    models.DisconnectReason.ROOM_CLOSED,
)


def signal_url(base: str) -> str:
    """Where to connect to, for the http(s) or ws(s) address of a livekit-server; the token goes into a header."""
    parts = urlsplit(base)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    query = urlencode({"protocol": PROTOCOL, "auto_subscribe": 0, "sdk": "python", "version": "1"})
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/rtc", query, ""))


@attrs.frozen
class Joined:
    """``turn``: addresses, user and password of the TURN servers to use. ``ping_s``: how often to ping."""

    people: tuple[Person, ...]
    turn: tuple[tuple[tuple[str, ...], str, str], ...] = attrs.field(repr=False)
    ping_s: float


@attrs.frozen
class Updated:
    people: tuple[Person, ...]
    gone: tuple[str, ...]


@attrs.frozen
class Speaking:
    loudness: dict[str, float]


@attrs.frozen
class Offered:
    """An offer of LiveKit's; the answer bears its number."""

    sdp: str = attrs.field(repr=False)
    number: int


@attrs.frozen
class Candidate:
    """One of LiveKit's, for the connection it sends by; in the form of an SDP attribute."""

    candidate: str
    mid: str | None
    index: int | None


@attrs.frozen
class Left:
    """We have to go."""

    failure: Failure


Heard = Joined | Updated | Speaking | Offered | Candidate | Left


def read(message: bytes) -> Heard | None:
    """What a message says, if it is of use. Raises google.protobuf's DecodeError."""
    response = rtc.SignalResponse.FromString(message)
    match response.WhichOneof("message"):
        case "join":
            people, _ = _people(response.join.other_participants)
            turn = tuple(
                (urls, server.username, server.credential)
                for server in response.join.ice_servers
                if (urls := tuple(url for url in server.urls if url.startswith("turn")))
            )
            return Joined(people, turn, max(float(response.join.ping_interval), 1.0))
        case "update":
            return Updated(*_people(response.update.participants))
        case "speakers_changed":
            return Speaking({s.sid: s.level if s.active else 0.0 for s in response.speakers_changed.speakers})
        case "offer":
            return Offered(response.offer.sdp, response.offer.id)
        case "trickle" if response.trickle.target == rtc.SignalTarget.SUBSCRIBER:
            told = json.loads(response.trickle.candidateInit or "{}")
            if text := told.get("candidate"):
                return Candidate(text.partition(":")[2], told.get("sdpMid"), told.get("sdpMLineIndex"))
        case "leave":
            reason = models.DisconnectReason.Name(response.leave.reason).lower().replace("_", " ")
            if response.leave.reason in _REMOVED:
                return Left(Failure(f"LiveKit has closed the room ({reason})", "room_closed", "It is tried again."))
            return Left(
                Failure(f"LiveKit has ended the connection ({reason})", "connection_lost", "It is tried again.")
            )
    return None


def answer(sdp: str, number: int) -> bytes:
    """To an offer."""
    return rtc.SignalRequest(answer=rtc.SessionDescription(type="answer", sdp=sdp, id=number)).SerializeToString()


def subscribe(tracks: Iterable[str], *, wanted: bool) -> bytes:
    """From now on, or no longer."""
    return rtc.SignalRequest(
        subscription=rtc.UpdateSubscription(track_sids=sorted(tracks), subscribe=wanted)
    ).SerializeToString()


def best_quality(tracks: Iterable[str]) -> bytes:
    """Of a publisher's layers, the largest."""
    return rtc.SignalRequest(
        track_setting=rtc.UpdateTrackSettings(track_sids=sorted(tracks), quality=models.VideoQuality.HIGH)
    ).SerializeToString()


def ping(now_ms: int) -> bytes:
    """Without one now and then LiveKit takes us for gone."""
    return rtc.SignalRequest(ping_req=rtc.Ping(timestamp=now_ms)).SerializeToString()


def leave() -> bytes:
    """We go."""
    return rtc.SignalRequest(
        leave=rtc.LeaveRequest(
            reason=models.DisconnectReason.CLIENT_INITIATED, action=rtc.LeaveRequest.Action.DISCONNECT
        )
    ).SerializeToString()


def _people(infos: Iterable[models.ParticipantInfo]) -> tuple[tuple[Person, ...], tuple[str, ...]]:
    here, gone = [], []
    for info in infos:
        if info.state == models.ParticipantInfo.State.DISCONNECTED:
            gone.append(info.sid)
        else:
            tracks = tuple(_track(t) for t in info.tracks)
            order = info.joined_at_ms or info.joined_at * 1000
            here.append(Person(info.sid, info.identity, order, tracks))
    return tuple(here), tuple(gone)


def _track(info: models.TrackInfo) -> PublishedTrack:
    codecs = {info.mime_type, *(codec.mime_type for codec in info.codecs)}
    return PublishedTrack(
        sid=info.sid,
        kind=models.TrackType.Name(info.type).lower(),
        screen=info.source in _SCREENS,
        muted=info.muted,
        codecs=frozenset(codec.lower() for codec in codecs if codec),
    )
