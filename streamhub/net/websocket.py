"""The server's side of one WebSocket over a taken-over connection: `websockets`' sans-IO protocol on Trio.

The upgrade request was parsed by the front; it is written down again for ``ServerProtocol``, which checks it and
makes the answer. Pictures to viewers do not pass here: the pump writes prebuilt frames (decision 0006).

Pictures from cameras do not pass through the library either: a whole binary message in one frame is unmasked straight
out of the buffer it was read into. The library gets every other frame, whole, and all there is once a rule is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from streamhub.net.connection import Taken

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel for this machine: 20 times slower, and right
    from websockets.utils import apply_mask

# A read of 64 KB can hold ten thousand empty frames, which take 70 ms from everybody else. Honest devices are far away.
MOST_FRAMES_AT_ONCE = 1000
# RFC 6455 §5.2: the first two bytes of a frame, here FIN and an opcode without reserved bits, then MASK and a length.
_WHOLE_BINARY = 0x82
_FIRST_BYTES = frozenset({0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A})
_CLOSE = 0x88
_BINARY = Opcode.BINARY
# Typed for bytes, made for every buffer.
_unmask = cast(Callable[[bytes | memoryview, bytes | memoryview], bytes], apply_mask)
_MOST_CONTROL_BYTES = 125

_WHY = b"A WebSocket upgrade is a GET without a body.\n"
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s" % (len(_WHY), _WHY)
)

__all__ = ["CloseCode", "Opcode", "ServerSocket", "accept"]


def _first_offered(_self: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The contract defines no subprotocol; the first offered is echoed (arduinoWebSockets insists on an answer)."""
    return offered[0] if offered else None


class ServerSocket:
    """Protocol state of one connection: bytes in, messages and bytes out. No I/O."""

    def __init__(self, taken: Taken, max_message_bytes: int) -> None:
        self._proto = ServerProtocol(max_size=max_message_bytes, select_subprotocol=_first_offered)
        head = [b"%s %s HTTP/1.1" % (taken.method.encode(), taken.target)]
        head += [name + b": " + value for name, value in taken.headers]
        self._proto.receive_data(b"\r\n".join(head) + b"\r\n\r\n")
        self._fragments = bytearray()
        self._opcode = Opcode.BINARY
        self._answer = b""
        request = next((e for e in self._proto.events_received() if isinstance(e, Request)), None)
        if request is not None:
            self._proto.send_response(self._proto.accept(request))
        else:
            # Too long a line is answered by `websockets` itself; a request with a body, for one, is not.
            self._answer = b"".join(self._proto.data_to_send()) or _BAD_REQUEST
        self._max_message_bytes = max_message_bytes
        self._rest = bytearray()  # a frame that has not come whole yet
        self._needed = 0  # how long ``_rest`` gets at least before it is of use
        self._in_fragments = False
        self._library_only = not self.open

    @property
    def open(self) -> bool:
        """Whether the handshake succeeded and nobody has closed."""
        return self._proto.state is State.OPEN

    @property
    def close_code(self) -> int | None:
        """The code the peer closed with, or ours after a protocol error."""
        close = self._proto.close_rcvd or self._proto.close_sent
        return int(close.code) if close else None

    @property
    def missing(self) -> int:
        """How many bytes must come before the next ``receive`` can give anything; 0 if that is not known."""
        return self._needed - len(self._rest) if self._rest else 0

    def receive(self, data: bytes | memoryview) -> list[tuple[Opcode, bytes]]:
        """Bytes from the peer (b"" at its end) → whole text, binary and pong messages, in order.

        A peer that puts more than ``MOST_FRAMES_AT_ONCE`` frames into one read is closed with 1008. What ``data`` is a
        view of may be used again after the call.
        """
        if not self._rest and not self._in_fragments and (head := self._only_picture(data)):
            return [(_BINARY, _unmask(data[head:], data[head - 4 : head]))]
        messages: list[tuple[Opcode, bytes]] = []
        if not data:
            self._feed(self._rest, messages)
            self._proto.receive_eof()
            return messages
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return messages
            whole, self._rest = self._rest, bytearray()
            view = memoryview(whole)
        else:
            view = memoryview(data)
        size, at, frames = len(view), 0, 0
        while at < size:
            head, end = self._measure(view, at)
            if end > size:
                self._rest += view[at:]
                self._needed = end - at
                break
            if view[at] == _WHOLE_BINARY and head and not self._in_fragments:
                start = at + head
                messages.append((_BINARY, _unmask(view[start:end], view[start - 4 : start])))
                frames += 1
            else:
                frames += self._feed(view[at:end], messages)
            if frames > MOST_FRAMES_AT_ONCE:
                self.close(CloseCode.POLICY_VIOLATION, "too many frames")
                return []
            at = end
        return messages

    def _only_picture(self, data: bytes | memoryview) -> int:
        """The size of the head where ``data`` is one picture and no more, as most reads of cameras are; else 0."""
        if len(data) <= _MOST_CONTROL_BYTES or data[0] != _WHOLE_BINARY or data[1] < 0xFE or self._library_only:
            return 0
        head = 8 if data[1] == 0xFE else 14
        length = int.from_bytes(data[2 : head - 4], "big")
        return head if head + length == len(data) and length <= self._max_message_bytes else 0

    def _measure(self, view: memoryview, at: int) -> tuple[int, int]:
        """The size of the head of the frame that begins ``at``, and where the frame ends, or at least goes on to.

        The size is 0 where it is for the library to say what is wrong; then it gets all there is, now and later.
        """
        left = len(view) - at
        if left >= 2 and not self._library_only:
            first, second = view[at], view[at + 1]
            length = second & 0x7F
            if first in _FIRST_BYTES and second & 0x80 and (length <= _MOST_CONTROL_BYTES or first < _CLOSE):
                head = 6 if length < 126 else 8 if length == 126 else 14
                if left < head:
                    return head, at + head
                if length >= 126:
                    length = int.from_bytes(view[at + 2 : at + head - 4], "big")
                if length <= self._max_message_bytes:
                    return head, at + head + length
            self._library_only = True
        return (0, at + left) if self._library_only else (0, at + 2)

    def _feed(self, data: bytearray | memoryview, messages: list[tuple[Opcode, bytes]]) -> int:
        """Let the library read; how many frames it found."""
        if data:
            self._proto.receive_data(bytes(data))
        events = self._proto.events_received()
        for frame in events:
            if isinstance(frame, Frame):
                self._collect(frame, messages)
        self._library_only = self._library_only or not self.open
        return len(events)

    def _collect(self, frame: Frame, messages: list[tuple[Opcode, bytes]]) -> None:
        opcode = frame.opcode
        if opcode is Opcode.BINARY or opcode is Opcode.TEXT:
            if frame.fin:
                messages.append((opcode, bytes(frame.data)))
            else:
                self._opcode, self._fragments, self._in_fragments = opcode, bytearray(frame.data), True
        elif opcode is Opcode.CONT:
            self._fragments += frame.data  # one buffer: a list would grow with fragments that hold nothing
            if frame.fin:
                messages.append((self._opcode, bytes(self._fragments)))
                self._fragments, self._in_fragments = bytearray(), False
        elif opcode is Opcode.PONG:
            messages.append((opcode, b""))

    def text(self, message: str) -> None:
        """Queue a text message."""
        if self.open:
            self._proto.send_text(message.encode())

    def ping(self) -> None:
        """Queue a ping with an empty payload."""
        if self.open:
            self._proto.send_ping(b"")

    def close(self, code: int, reason: str = "") -> None:
        """Queue a close; nothing can be queued after it."""
        if self.open:
            self._proto.send_close(code, reason)

    @property
    def has_outgoing(self) -> bool:
        """Whether ``outgoing`` would give bytes; costs nothing, so readers ask it after every read."""
        return bool(self._answer or self._proto.writes)

    @property
    def settled(self) -> bool:
        """Open, with nothing to send."""
        return self.open and not self.has_outgoing

    def outgoing(self) -> bytes:
        """The bytes to send now (handshake answer, pongs, what was queued); b"" for none."""
        answer, self._answer = self._answer, b""
        return answer + b"".join(self._proto.data_to_send())


def accept(taken: Taken, max_message_bytes: int) -> ServerSocket:
    """The connection's WebSocket; its first ``outgoing`` is the handshake's answer (101, or 4xx and not open)."""
    return ServerSocket(taken, max_message_bytes)
