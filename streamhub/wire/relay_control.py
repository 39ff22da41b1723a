"""What the server and a relay worker say to each other, over pipes.

To the worker, on its standard input: one JSON object a line, ``{"op": …}``. The end of that input is the worker's end.
From it, on its standard output: frames of a kind (one byte), a length (u32, big endian) and a body, where the body is
one JSON object ``{"event": …}`` or one picture. Media that is pushed (FLV, JPEG) comes by a pipe of its own, so that a
worker that is late with it still hears its orders.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias

import attrs

Container: TypeAlias = Literal["fmp4", "ts"]
_HEAD = struct.Struct(">BI")
_CAPTURED = struct.Struct(">Q")
_JSON: Final = 0
_JPEG: Final = 1
MOST_BYTES = 16 * 1024 * 1024


class BadRelayMessage(Exception):
    """The other side speaks another protocol: the worker is of no use."""


# --- to the worker ------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Start:
    """The first order: what to take in, and how much it may cost.

    ``kind``: ``flv`` (bytes on the media pipe), ``jpeg`` (pictures there, see ``format_picture``), ``rtsp`` or ``http``
    (``url``, whose host is an address already for rtsp; ``proxy``: every HTTP connection goes through it), ``room``
    (``url`` is a livekit-server's, ``token`` lets the worker in).
    ``max_pixels``: more than this many pixels in a second, decoded or encoded, are refused. ``gop_s``: longest time
    between key frames that is copied as it is; 0 means any. ``max_height``: of what is encoded; 0 means any.
    """

    kind: Literal["flv", "jpeg", "rtsp", "http", "room"]
    media_fd: int = -1
    url: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    transport: Literal["tcp", "udp", "auto"] = "tcp"
    proxy: str | None = attrs.field(default=None, repr=False)
    probe_s: float = 5.0
    stall_s: float = 10.0
    max_pixels: int = 1920 * 1080 * 30
    max_height: int = 0
    gop_s: float = 0.0
    threads: int = 2


@attrs.frozen(kw_only=True)
class AttachWhip:
    """Publish to ``url`` with that bearer token. It ends by itself when the source's tracks change."""

    id: str
    url: str
    bearer: str = attrs.field(repr=False)
    bitrate: int = 2_500_000


@attrs.frozen(kw_only=True)
class AttachHls:
    """Write segments named ``<prefix>_<n>`` (and ``<prefix>_init_<n>.mp4``) into a folder, each told by ``Segment``."""

    id: str
    folder: str
    prefix: str
    container: Container = "fmp4"
    segment_s: float = 2.0


@attrs.frozen(kw_only=True)
class AttachJpeg:
    """Decode and send pictures, at most so many a second. ``key_only``: of key frames alone."""

    id: str
    fps: float = 15.0
    max_height: int = 720
    quality: int = 5
    key_only: bool = False


@attrs.frozen(kw_only=True)
class AttachRoomAudio:
    """Mix what is said in a room of LiveKit's into HLS; not by the participant of the identity ``without``.

    HLS sinks end (``tracks_changed``) when the first one speaks, and when this ends: to be attached again.
    """

    id: str
    url: str
    token: str = attrs.field(repr=False)
    without: str = ""


@attrs.frozen(kw_only=True)
class Detach:
    """End a sink; ``SinkEnded`` follows."""

    id: str


Order: TypeAlias = Start | AttachWhip | AttachHls | AttachJpeg | AttachRoomAudio | Detach

# --- from the worker ----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Track:
    """One elementary stream of the source; sizes in pixels, ``rate`` in Hz. ``codec`` in libav's words: h264, aac …"""

    kind: Literal["video", "audio"]
    codec: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    profile: str | None = None
    b_frames: bool = False
    rate: int | None = None
    channels: int | None = None


@attrs.frozen(kw_only=True)
class Planned:
    """What a sink of that kind would get; ``why`` in a person's words."""

    output: Literal["webrtc", "hls", "mjpeg"]
    video: Literal["copy", "encode", "none"]
    audio: Literal["copy", "encode", "none"]
    why: str = ""


def _plans(given: Iterable[Planned | dict[str, Any]]) -> tuple[Planned, ...]:
    return tuple(p if isinstance(p, Planned) else Planned(**p) for p in given)


def _tracks(given: Iterable[Track | dict[str, Any]]) -> tuple[Track, ...]:
    return tuple(t if isinstance(t, Track) else Track(**t) for t in given)


@attrs.frozen(kw_only=True)
class Opened:
    """The source runs, and has these tracks; ``plans``: what it would cost on each output."""

    tracks: tuple[Track, ...] = attrs.field(converter=_tracks)
    plans: tuple[Planned, ...] = attrs.field(default=(), converter=_plans)


@attrs.frozen(kw_only=True)
class SinkRunning:
    """A sink has begun. ``video`` and ``audio``: ``copy``, ``encode`` or ``none``; ``why`` in a person's words."""

    id: str
    video: Literal["copy", "encode", "none"]
    audio: Literal["copy", "encode", "none"]
    why: str = ""


@attrs.frozen(kw_only=True)
class SinkEnded:
    """A sink is over: ``error`` None if it was told to end. ``code`` is a stable word, ``hint`` says what to do."""

    id: str
    error: str | None = None
    code: str | None = None
    hint: str | None = None


@attrs.frozen(kw_only=True)
class Segment:
    """A segment is whole on the disk. ``at_ms``: wall clock of its first picture, ms since 1970; ``init``: its own.

    ``first``: nothing before it fits in (the sink or the source's tracks began anew).
    """

    id: str
    name: str
    number: int
    duration_s: float
    at_ms: int
    bytes: int
    init: str | None = None
    first: bool = False


def _words(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


@attrs.frozen(kw_only=True)
class Stats:
    """Every two seconds. ``bitrate`` of the source in bit/s, ``gop_s`` between its key frames, ``rss`` in bytes."""

    fps: float
    bitrate: int
    gop_s: float | None = None
    cpu: float = 0.0
    rss: int = 0
    dropped: int = 0
    hints: tuple[str, ...] = attrs.field(default=(), converter=_words)


@attrs.frozen(kw_only=True)
class Ended:
    """The last message: the source is over. ``error`` None: it ended by itself (a file) or because it was told to."""

    error: str | None = None
    code: str | None = None
    hint: str | None = None


@attrs.frozen(kw_only=True)
class Picture:
    """One JPEG of a sink; ``at_ms``: wall clock when it was taken in, ms since 1970."""

    at_ms: int
    jpeg: bytes = attrs.field(repr=False)


Event: TypeAlias = Opened | SinkRunning | SinkEnded | Segment | Stats | Ended | Picture

_ORDERS = {
    "start": Start,
    "whip": AttachWhip,
    "hls": AttachHls,
    "jpeg": AttachJpeg,
    "room_audio": AttachRoomAudio,
    "detach": Detach,
}
_EVENTS = {
    "opened": Opened,
    "sink_running": SinkRunning,
    "sink_ended": SinkEnded,
    "segment": Segment,
    "stats": Stats,
    "ended": Ended,
}
_WORDS: dict[type, str] = {kind: word for table in (_ORDERS, _EVENTS) for word, kind in table.items()}


def format_order(order: Order) -> bytes:
    """The line to write to a worker."""
    return json.dumps({"op": _WORDS[type(order)], **attrs.asdict(order)}).encode() + b"\n"


def parse_order(line: bytes) -> Order:
    """The order of a line. Raises BadRelayMessage."""
    order: Order = _parse(line, "op", _ORDERS)
    return order


def format_event(event: Event) -> bytes:
    """The frame to write to the server."""
    if isinstance(event, Picture):
        return format_picture(event.jpeg, event.at_ms)
    body = json.dumps({"event": _WORDS[type(event)], **attrs.asdict(event)}).encode()
    return _HEAD.pack(_JSON, len(body)) + body


def format_picture(jpeg: bytes, at_ms: int) -> bytes:
    """One picture as a frame; the media pipe of a ``jpeg`` source carries the same."""
    return _HEAD.pack(_JPEG, _CAPTURED.size + len(jpeg)) + _CAPTURED.pack(at_ms) + jpeg


@attrs.define
class EventReader:
    """Bytes in, events out."""

    _buffer: bytearray = attrs.field(factory=bytearray)

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events completed by ``data``. Raises BadRelayMessage."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._buffer, at)
            if kind not in (_JSON, _JPEG) or length > MOST_BYTES:
                raise BadRelayMessage("a frame of no known kind, or too long")
            if len(self._buffer) - at < _HEAD.size + length:
                break
            body = bytes(self._buffer[at + _HEAD.size : at + _HEAD.size + length])
            at += _HEAD.size + length
            yield _picture(body) if kind == _JPEG else _parse(body, "event", _EVENTS)
        del self._buffer[:at]


def _picture(body: bytes) -> Picture:
    if len(body) < _CAPTURED.size:
        raise BadRelayMessage("a picture without its time")
    return Picture(at_ms=_CAPTURED.unpack_from(body)[0], jpeg=body[_CAPTURED.size :])


def _parse(text: bytes, name: str, table: dict[str, type[Any]]) -> Any:
    try:
        fields = json.loads(text)
        return table[fields.pop(name)](**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BadRelayMessage(f"not a message of ours: {type(exc).__name__}") from None
