"""Chunks (RTMP 1.0 §5.3): several messages at once in small pieces, put together again.

Set Chunk Size and Abort belong to this layer and are carried out here; every other message is handed out.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from streamhub.wire.rtmp.errors import RtmpError

FIRST_CHUNK_SIZE = 128
MOST_STREAMS = 64  # chunk streams; encoders use three to six
MOST_BUFFERED = 16 * 1024 * 1024  # of all unfinished messages together
EXTENDED = 0xFFFFFF
# A first header hours into a stream, then one that repeats it: some mean "no time passes", not "hours pass".
LONGEST_REPEATED_MS = 10_000

SET_CHUNK_SIZE, ABORT = 1, 2
_FIELDS = (11, 7, 3, 0)  # bytes of the message header per format


@attrs.frozen
class Message:
    """A whole message. ``timestamp`` in ms, modulo 2**32."""

    type: int
    timestamp: int
    stream_id: int
    body: bytes = attrs.field(repr=False)


@attrs.define
class _Stream:
    """What a chunk stream remembers. ``field``: the last time as it was written, ``body``: the message so far.

    ``marker``: the one byte in front of chunks that go on with a message, if it is one.
    """

    marker: bytes = b""
    timestamp: int = 0
    delta: int = 0
    field: int = 0
    extended: bool = False
    length: int = 0
    type: int = 0
    stream_id: int = 0
    open: bool = False
    body: bytearray = attrs.field(factory=bytearray)


@attrs.define
class ChunkReader:
    """Bytes in, messages out. Keeps at most MOST_BUFFERED bytes, and no message longer than ``most_length``."""

    most_length: int
    _size: int = FIRST_CHUNK_SIZE
    _streams: dict[int, _Stream] = attrs.field(factory=dict)
    _head: bytes = b""  # the beginning of a header
    _current: _Stream | None = None
    _left: int = 0  # bytes of the current chunk that have not come yet
    _buffered: int = 0

    @property
    def buffered(self) -> int:
        """Bytes kept for messages that are not whole."""
        return self._buffered + len(self._head)

    def receive(self, data: bytes) -> Iterator[Message]:
        """The messages completed by ``data``; take them all before more is given. Raises RtmpError."""
        if self._head:
            data, self._head = self._head + data, b""
        at, end = 0, len(data)
        view = memoryview(data)
        while True:
            stream = self._current
            if stream is None:
                start = self._read_header(data, at)
                if start is None:
                    self._head = data[at:]
                    return
                at = start
                stream = self._current
                assert stream is not None
            take = min(self._left, end - at)
            if take < self._left or len(stream.body) + take < stream.length:
                self._keep(stream, view[at : at + take])
                self._left -= take
                if self._left:
                    return
                self._current = None
                at = self._take_run(stream, data, at + take)
                continue
            body = bytes(view[at : at + take])
            if stream.body:
                self._buffered -= len(stream.body)
                stream.body += body
                body = bytes(stream.body)
                stream.body = bytearray()
            at += take
            stream.open, self._current = False, None
            if stream.type == SET_CHUNK_SIZE:
                self._set_size(body)
            elif stream.type == ABORT:
                self._abort(body)
            else:
                yield Message(stream.type, stream.timestamp, stream.stream_id, body)

    def _keep(self, stream: _Stream, piece: memoryview | bytearray) -> None:
        if self._buffered + len(piece) > MOST_BUFFERED:
            raise RtmpError("too many unfinished messages")
        self._buffered += len(piece)
        stream.body += piece

    def _take_run(self, stream: _Stream, data: bytes, at: int) -> int:
        """Take whole chunks of an unfinished message that follow each other at ``at``; where they end.

        Nothing but speed: many encoders cut pictures into 128 bytes, and only one byte is in front of each.
        """
        step = self._size + 1
        # The message's last chunk is not among them.
        most = min((len(data) - at) // step, (stream.length - len(stream.body) - 1) // self._size)
        if most < 2 or stream.extended or not stream.marker:
            return at
        heads = data[at : at + most * step : step]
        run = most - len(heads.lstrip(stream.marker))
        piece = bytearray(memoryview(data)[at : at + run * step])
        del piece[::step]
        self._keep(stream, piece)
        return at + run * step

    def _read_header(self, data: bytes, at: int) -> int | None:
        """Make the stream of the chunk at ``at`` current; where its payload begins, or None if the header is cut."""
        end = len(data)
        if at >= end:
            return None
        form, chunk_stream_id = data[at] >> 6, data[at] & 63
        at += 1
        if chunk_stream_id < 2:
            width = chunk_stream_id + 1
            if at + width > end:
                return None
            chunk_stream_id = 64 + int.from_bytes(data[at : at + width], "little")
            at += width
        fields = at
        at += _FIELDS[form]
        stream = self._streams.get(chunk_stream_id)
        if stream is None:
            if form > 1:
                raise RtmpError("a chunk stream begins without a message header")
            if len(self._streams) >= MOST_STREAMS:
                raise RtmpError("too many chunk streams")
            stream = _Stream(bytes((0xC0 | chunk_stream_id,)) if chunk_stream_id < 64 else b"")
        if form != 3 and stream.open:
            raise RtmpError("a message begins before the one before it has ended")
        if at > end:
            return None
        extended = stream.extended
        field = stream.field
        if form != 3:
            field = int.from_bytes(data[fields : fields + 3], "big")
            extended = field == EXTENDED
        if extended:
            if at + 4 > end:
                return None
            given = int.from_bytes(data[at : at + 4], "big")
            # The specification repeats it in chunks without a header; not every encoder does.
            if form != 3 or given == field:
                field = given
                at += 4
        if form < 2:
            stream.length = int.from_bytes(data[fields + 3 : fields + 6], "big")
            stream.type = data[fields + 6]
        if form == 0:
            stream.stream_id = int.from_bytes(data[fields + 7 : fields + 11], "little")
        stream.extended, stream.field = extended, field
        if not stream.open:
            self._begin(stream, form)
        self._streams[chunk_stream_id] = stream
        self._current = stream
        self._left = min(self._size, stream.length - len(stream.body))
        return at

    def _begin(self, stream: _Stream, form: int) -> None:
        """A new message: the stream's time moves on."""
        if stream.length > self.most_length:
            raise RtmpError("a message is too long")
        if form == 0:
            stream.timestamp = stream.field
            stream.delta = stream.field if stream.field <= LONGEST_REPEATED_MS else 0
        else:
            if form != 3:
                stream.delta = stream.field
            stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
        stream.open = True

    def _set_size(self, body: bytes) -> None:
        size = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
        if len(body) < 4 or size == 0:
            raise RtmpError("a chunk size of zero, or none")
        self._size = size

    def _abort(self, body: bytes) -> None:
        stream = self._streams.get(int.from_bytes(body[:4], "big"))
        if stream is not None:
            self._buffered -= len(stream.body)
            stream.open, stream.body = False, bytearray()


def format_message(chunk_stream_id: int, message: Message) -> bytes:
    """The chunks of a message of ours, each of the size that every connection begins with. Ids from 2 to 63."""
    body = message.body
    time = min(message.timestamp, EXTENDED)
    head = bytes((chunk_stream_id,)) + time.to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes((message.type,))
    extension = message.timestamp.to_bytes(4, "big") if time == EXTENDED else b""
    out = bytearray(head + message.stream_id.to_bytes(4, "little") + extension)
    for at in range(0, len(body), FIRST_CHUNK_SIZE):
        if at:
            out += bytes((0xC0 | chunk_stream_id,)) + extension
        out += body[at : at + FIRST_CHUNK_SIZE]
    return bytes(out)
