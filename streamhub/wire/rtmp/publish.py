"""The server's side of one publishing connection (RTMP 1.0 §5.4, §6, §7; Enhanced RTMP v2)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import attrs

from streamhub.wire.flv import Tag, TagKind
from streamhub.wire.rtmp import amf0, handshake
from streamhub.wire.rtmp.address import find_key, is_our_path
from streamhub.wire.rtmp.chunks import ChunkReader, Message, format_message
from streamhub.wire.rtmp.codecs import AUDIO_FOURCC, VIDEO_FOURCC, refused_audio, refused_video
from streamhub.wire.rtmp.errors import RtmpError

MOST_COMMAND = 64 * 1024  # bytes of a message before publishing is granted, and of a command ever
MOST_MESSAGE = 8 * 1024 * 1024
WINDOW = 2_500_000

BAD_NAME: Final = "NetStream.Publish.BadName"
REJECTED: Final = "NetStream.Publish.Rejected"

_ACKNOWLEDGEMENT, _USER_CONTROL, _WINDOW_SIZE, _BANDWIDTH = 3, 4, 5, 6
_DATA_AMF3, _COMMAND_AMF3, _COMMAND, _AGGREGATE = 15, 17, 20, 22
_STREAM_BEGIN, _PING, _PONG = 0, 6, 7
_CAN_FORWARD = 4  # capability of a codec in Enhanced RTMP


@attrs.frozen
class PublishRequested:
    """To be answered by ``accept`` or ``refuse`` before the next event is taken."""

    key: str = attrs.field(repr=False)


@attrs.frozen
class Unpublished:
    """The encoder has ended its stream."""


@attrs.frozen
class Refused:
    """The encoder has been told why this is not taken; what is left is to send that and to hang up.

    ``reason`` is a stable word; ``message`` holds nothing secret.
    """

    reason: str
    message: str


Event: TypeAlias = PublishRequested | Tag | Unpublished | Refused


@attrs.define
class PublishSession:
    """Bytes in, events and bytes out. Events come in the same order however the bytes are split."""

    _random: Callable[[int], bytes] = secrets.token_bytes
    _chunks: ChunkReader = attrs.field(factory=lambda: ChunkReader(MOST_COMMAND))
    _opening: bytearray | None = attrs.field(factory=bytearray)  # of the handshake; None: it is over
    _answered: bool = False
    _out: bytearray = attrs.field(factory=bytearray)
    _app: str | None = None
    _tc_url: str = ""
    _streams: int = 0
    _stream_id: int = 0  # of the message stream that publishes
    _asked: bool = False
    _publishing: bool = False
    _over: bool = False
    _window: int = WINDOW
    _received: int = 0
    _acknowledged: int = 0

    @property
    def buffered(self) -> int:
        """Bytes kept of what has come and is not whole yet."""
        return self._chunks.buffered + len(self._opening or b"")

    def bytes_to_send(self) -> bytes:
        """What is to be sent now; once."""
        out, self._out = bytes(self._out), bytearray()
        return out

    def receive(self, data: bytes) -> Iterator[Event]:
        """The events completed by ``data``; take them all before more is given. Raises RtmpError."""
        self._received += len(data)
        if self._received - self._acknowledged >= self._window:
            self._acknowledged = self._received
            self._control(_ACKNOWLEDGEMENT, (self._received & 0xFFFFFFFF).to_bytes(4, "big"))
        if self._opening is not None:
            self._opening += data
            data = self._shake_hands(self._opening)
        for message in self._chunks.receive(data):
            if self._over:
                return
            yield from self._message(message)

    def accept(self) -> None:
        """Let the stream in."""
        self._publishing = True
        self._chunks.most_length = MOST_MESSAGE
        self._control(_USER_CONTROL, _STREAM_BEGIN.to_bytes(2, "big") + self._stream_id.to_bytes(4, "big"))
        self._status("status", "NetStream.Publish.Start", "the stream is taken in")

    def refuse(self, message: str, code: str = REJECTED) -> None:
        """Tell the encoder why its stream is not taken, or not any longer; nothing more is read."""
        self._over = True
        self._status("error", code, message)

    def _shake_hands(self, opening: bytearray) -> bytes:
        """Go on with the handshake; what follows it."""
        if opening:
            handshake.check_version(opening[0])
        c0_c1 = 1 + handshake.PART
        if len(opening) >= c0_c1 and not self._answered:
            self._answered = True
            self._out += handshake.answer(bytes(opening[1:c0_c1]), self._random)
        if len(opening) < c0_c1 + handshake.PART:
            return b""
        self._opening = None
        return bytes(opening[c0_c1 + handshake.PART :])

    def _message(self, message: Message) -> Iterator[Event]:
        kind, body = message.type, message.body
        if kind in (TagKind.AUDIO, TagKind.VIDEO, TagKind.SCRIPT):
            yield from self._media(Tag(TagKind(kind), message.timestamp, body))
        elif kind == _DATA_AMF3:
            yield from self._media(Tag(TagKind.SCRIPT, message.timestamp, body[1:]))
        elif kind == _AGGREGATE:
            yield from self._aggregate(message)
        elif kind in (_COMMAND, _COMMAND_AMF3):
            if len(body) > MOST_COMMAND:
                raise RtmpError("a command is too long")
            # Commands in AMF3 are AMF0 behind one byte, as long as no value says otherwise.
            yield from self._command(amf0.decode(body[1:] if kind == _COMMAND_AMF3 else body), message.stream_id)
        elif kind == _WINDOW_SIZE:
            self._window = max(int.from_bytes(body[:4], "big"), 1024) if len(body) >= 4 else self._window
        elif kind == _USER_CONTROL and len(body) >= 6 and int.from_bytes(body[:2], "big") == _PING:
            self._control(_USER_CONTROL, _PONG.to_bytes(2, "big") + body[2:6])

    def _media(self, tag: Tag) -> Iterator[Event]:
        if not self._publishing or not tag.body:
            return
        if tag.kind is TagKind.SCRIPT:
            metadata = _metadata(tag.body)
            if metadata is not None:
                yield Tag(tag.kind, tag.timestamp, metadata)
            return
        codec = (refused_video if tag.kind is TagKind.VIDEO else refused_audio)(tag.body)
        if codec is None:
            yield tag
            return
        taken = "H.264 or H.265" if tag.kind is TagKind.VIDEO else "AAC, MP3 or G.711"
        yield self._refused("codec", f"{tag.kind.name.lower()} in {codec} is not taken: set the encoder to {taken}")

    def _aggregate(self, message: Message) -> Iterator[Event]:
        """FLV tags in one message (§7.1.6); their times count from the message's."""
        body, at, shift = message.body, 0, None
        while at + 11 <= len(body) and not self._over:
            kind, size = body[at], int.from_bytes(body[at + 1 : at + 4], "big")
            time = int.from_bytes(body[at + 7 : at + 8] + body[at + 4 : at + 7], "big")
            shift = message.timestamp - time if shift is None else shift
            at += 11
            if at + size > len(body):
                raise RtmpError("an aggregate message is cut")
            if kind in (TagKind.AUDIO, TagKind.VIDEO, TagKind.SCRIPT):
                yield from self._media(Tag(TagKind(kind), (time + shift) & 0xFFFFFFFF, body[at : at + size]))
            at += size + 4

    def _command(self, values: list[amf0.Value], stream_id: int) -> Iterator[Event]:
        name, number, arguments = (values[0] if values else None), (values[1] if len(values) > 1 else 0), values[2:]
        match name:
            case "connect":
                self._connect(number, arguments)
            case "createStream":
                self._streams += 1
                self._send(0, "_result", number, None, self._streams)
            case "releaseStream" | "getStreamLength" | "_checkbw":
                self._send(0, "_result", number, None, None)
            case "FCPublish":
                self._send(0, "_result", number, None, None)
                # Some encoders go on only after this.
                self._send(0, "onFCPublish", 0, None, {"code": "NetStream.Publish.Start", "description": ""})
            case "publish":
                yield from self._publish(arguments, stream_id)
            case "play" | "play2":
                self._stream_id = stream_id
                yield self._refused(
                    "play", "RTMP takes streams in; watch them on the pages, by HLS or WebRTC", "NetStream.Play.Failed"
                )
            case "FCUnpublish" | "deleteStream" | "closeStream" if self._publishing:
                self._publishing, self._over = False, True
                self._status("status", "NetStream.Unpublish.Success", "the stream has ended")
                yield Unpublished()

    def _connect(self, number: amf0.Value, arguments: list[amf0.Value]) -> None:
        given = arguments[0] if arguments and isinstance(arguments[0], dict) else {}
        self._app, self._tc_url = _text(given.get("app")), _text(given.get("tcUrl"))
        self._control(_WINDOW_SIZE, WINDOW.to_bytes(4, "big"))
        self._control(_BANDWIDTH, WINDOW.to_bytes(4, "big") + b"\x02")
        information: dict[str, amf0.Value] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "connected",
            "objectEncoding": 0,
        }
        if {"fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap"} & given.keys():
            video, audio = _words(VIDEO_FOURCC), _words(AUDIO_FOURCC)
            information["fourCcList"] = video + audio
            information["videoFourCcInfoMap"] = dict.fromkeys(video, _CAN_FORWARD)
            information["audioFourCcInfoMap"] = dict.fromkeys(audio, _CAN_FORWARD)
        self._send(0, "_result", number, {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31}, information)

    def _publish(self, arguments: list[amf0.Value], stream_id: int) -> Iterator[Event]:
        if self._asked:
            self._status("error", BAD_NAME, "this connection publishes already", stream_id)
            return
        self._asked, self._stream_id = True, stream_id
        if self._app is None or not is_our_path(self._app):
            message = "the address is rtmp://<host>/live, followed by the stream key"
            yield self._refused("wrong_path", message, BAD_NAME)
            return
        key = find_key(self._app, self._tc_url, _text(arguments[1]) if len(arguments) > 1 else "")
        if key is None:
            yield self._refused("no_key", "publishing needs a stream key: rtmp://<host>/live/<stream key>", BAD_NAME)
        else:
            yield PublishRequested(key)

    def _refused(self, reason: str, message: str, code: str = REJECTED) -> Refused:
        self.refuse(message, code)
        return Refused(reason, message)

    def _status(self, level: str, code: str, description: str, stream_id: int | None = None) -> None:
        status: dict[str, amf0.Value] = {"level": level, "code": code, "description": description}
        self._send(self._stream_id if stream_id is None else stream_id, "onStatus", 0, None, status)

    def _send(self, stream_id: int, *values: amf0.Value) -> None:
        self._out += format_message(3, Message(_COMMAND, 0, stream_id, amf0.encode(*values)))

    def _control(self, kind: int, body: bytes) -> None:
        self._out += format_message(2, Message(kind, 0, 0, body))


def _metadata(body: bytes) -> bytes | None:
    """``onMetaData`` without the command in front of it; None for any other data."""
    found = amf0.string(body)
    if found is not None and found[0] == "@setDataFrame":
        body = found[1]
        found = amf0.string(body)
    return body if found is not None and found[0] == "onMetaData" else None


def _text(value: amf0.Value) -> str:
    return value if isinstance(value, str) else ""


def _words(fourccs: dict[bytes, str]) -> list[str]:
    return [fourcc.decode() for fourcc in fourccs]
