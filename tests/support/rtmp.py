"""An RTMP encoder's side, written from the specification: handshakes, chunks, commands. Nothing of the server's code
writes here; what the server answers is read with its own reader."""

from __future__ import annotations

import hmac
import random
from collections.abc import Iterable
from hashlib import sha256

import attrs
import trio

from streamhub.wire.rtmp import amf0
from streamhub.wire.rtmp.chunks import ChunkReader, Message

AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20
TAIL = bytes.fromhex("F0EEC24A8068BEE82E00D0D1029E7E576EEC5D2D29806FAB93B8E636CFEB31AE")
PLAYER, SERVER = b"Genuine Adobe Flash Player 001", b"Genuine Adobe Flash Media Server 001"
AVC_CONFIG = b"\x17\0\0\0\0" + bytes.fromhex("01640015ffe10000010000")
AAC_CONFIG = b"\xaf\0\x11\x90"


def plain_c1(seed: int = 1) -> bytes:
    return bytes(8) + random.Random(seed).randbytes(1528)


def digest_place(part: bytes, scheme: int) -> int:
    """Where the digest is: scheme 0 has it before the key part, scheme 1 after it."""
    at = (8, 772)[scheme]
    return sum(part[at : at + 4]) % 728 + at + 4


def digest_c1(scheme: int, seed: int = 1) -> bytes:
    c1 = bytes(4) + b"\x80\0\7\2" + random.Random(seed).randbytes(1528)
    at = digest_place(c1, scheme)
    return c1[:at] + digest(PLAYER, c1, at) + c1[at + 32 :]


def digest(key: bytes, part: bytes, at: int) -> bytes:
    return hmac.digest(key, part[:at] + part[at + 32 :], sha256)


@attrs.define
class Remembered:
    time: int
    delta: int
    length: int
    type: int
    stream_id: int


@attrs.define
class ChunkWriter:
    """Messages as chunks, each with the smallest header the specification allows; ``repeat``: extended times again."""

    size: int = 128
    repeat: bool = True
    _last: dict[int, Remembered] = attrs.field(factory=dict)

    def chunks(
        self, csid: int, kind: int, body: bytes, time: int = 0, stream_id: int = 0, full: bool = False
    ) -> list[bytes]:
        last = self._last.get(csid)
        delta = (time - last.time) & 0xFFFFFFFF if last else 0
        if full or last is None or last.stream_id != stream_id:
            form, field = 0, time
        else:
            same = (last.type, last.length) == (kind, len(body))
            repeated = delta == last.delta and delta <= 10_000  # hours again: no encoder means that
            form, field = (3 if repeated else 2) if same else 1, delta
        # A first header's time is the next one's difference, unless that is written (§5.3.1.2.4).
        self._last[csid] = Remembered(time, field, len(body), kind, stream_id)
        short = min(field, 0xFFFFFF)
        extension = field.to_bytes(4, "big") if short == 0xFFFFFF else b""
        head = b""
        if form < 3:
            head += short.to_bytes(3, "big")
        if form < 2:
            head += len(body).to_bytes(3, "big") + bytes([kind])
        if form == 0:
            head += stream_id.to_bytes(4, "little")
        pieces = [body[at : at + self.size] for at in range(0, len(body), self.size)] or [b""]
        first = self._basic(form, csid) + head + extension + pieces[0]
        again = self._basic(3, csid) + (extension if self.repeat else b"")
        return [first, *(again + piece for piece in pieces[1:])]

    def message(self, csid: int, kind: int, body: bytes, time: int = 0, stream_id: int = 0) -> bytes:
        return b"".join(self.chunks(csid, kind, body, time, stream_id))

    def set_size(self, size: int) -> bytes:
        data = self.message(2, 1, size.to_bytes(4, "big"))
        self.size = size
        return data

    def command(self, *values: amf0.Value, stream_id: int = 0) -> bytes:
        return self.message(3, COMMAND, amf0.encode(*values), stream_id=stream_id)

    @staticmethod
    def _basic(form: int, csid: int) -> bytes:
        if csid < 64:
            return bytes([form << 6 | csid])
        if csid < 320:
            return bytes([form << 6, csid - 64])
        return bytes([form << 6 | 1]) + (csid - 64).to_bytes(2, "little")


def opening(c1: bytes | None = None) -> bytes:
    """C0, C1 and a C2, as if the server had answered."""
    return b"\x03" + (c1 or plain_c1()) + bytes(1536)


def publish_commands(
    writer: ChunkWriter, name: str, app: str = "live", tc_url: str = "rtmp://127.0.0.1/live", **connect: amf0.Value
) -> list[bytes]:
    """What OBS and ffmpeg send until they may publish."""
    return [
        writer.command("connect", 1.0, {"app": app, "type": "nonprivate", "tcUrl": tc_url, **connect}),
        writer.command("releaseStream", 2.0, None, name),
        writer.command("FCPublish", 3.0, None, name),
        writer.command("createStream", 4.0, None),
        writer.command("publish", 5.0, None, name, "live", stream_id=1),
    ]


def metadata(**values: amf0.Value) -> bytes:
    return amf0.encode("@setDataFrame", "onMetaData", {"videocodecid": 7.0, "audiocodecid": 10.0, **values})


def media(writer: ChunkWriter, pictures: int = 3, picture: int = 700) -> bytes:
    """Metadata, configurations and some pictures with sound; not decodable."""
    out = writer.message(4, DATA, metadata(), 0, 1) + writer.message(6, VIDEO, AVC_CONFIG, 0, 1)
    out += writer.message(4, AUDIO, AAC_CONFIG, 0, 1)
    for n in range(pictures):
        head = b"\x17\1\0\0\0" if n == 0 else b"\x27\1\0\0\0"
        out += writer.message(6, VIDEO, head + bytes([n]) * picture, 40 * n, 1)
        out += writer.message(4, AUDIO, b"\xaf\1" + bytes([n]) * 90, 40 * n, 1)
    return out


def answers(data: bytes) -> list[Message]:
    """The server's messages after its handshake."""
    return list(ChunkReader(1 << 20).receive(data))


def statuses(messages: Iterable[Message]) -> list[dict[str, object]]:
    """What onStatus said."""
    found = [amf0.decode(m.body) for m in messages if m.type == COMMAND]
    return [dict(values[3]) for values in found if values[0] == "onStatus"]  # type: ignore[arg-type]


@attrs.define
class Peer:
    """An encoder over a stream."""

    stream: trio.abc.Stream
    writer: ChunkWriter = attrs.field(factory=ChunkWriter)
    _reader: ChunkReader = attrs.field(factory=lambda: ChunkReader(1 << 20))
    heard: list[Message] = attrs.field(factory=list)

    async def shake_hands(self) -> None:
        await self.stream.send_all(b"\x03" + plain_c1())
        answer = b""
        while len(answer) < 3073:
            answer += await self.stream.receive_some(3073 - len(answer))
        await self.stream.send_all(answer[1:1537])

    async def publish(self, name: str, **how: str) -> None:
        """Send all commands at once; ``hear`` tells what came of them."""
        await self.shake_hands()
        await self.stream.send_all(b"".join(publish_commands(self.writer, name, **how)))

    async def hear(self) -> dict[str, object]:
        """The next status. Raises trio.EndOfChannel if the server hangs up first."""
        while True:
            for n, message in enumerate(self.heard):
                found = statuses([message])
                if found:
                    del self.heard[: n + 1]
                    return found[0]
            data = await self.stream.receive_some()
            if not data:
                raise trio.EndOfChannel
            self.heard += self._reader.receive(data)

    async def hangs_up(self) -> bool:
        """Whether the server closes, after whatever it still says."""
        try:
            while await self.stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
        return True
