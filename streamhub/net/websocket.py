"""The server's side of one WebSocket over a taken-over connection: `websockets`' sans-IO protocol on Trio.

The upgrade request was parsed by the front; it is written down again for ``ServerProtocol``, which checks it and
makes the answer. Pictures to viewers do not pass here: the pump writes prebuilt frames (decision 0006).
"""

from __future__ import annotations

from collections.abc import Sequence

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from streamhub.net.connection import Taken

# A read of 64 KB can hold ten thousand empty frames, which take 70 ms from everybody else. Honest devices are far away.
MOST_FRAMES_AT_ONCE = 1000

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

    @property
    def open(self) -> bool:
        """Whether the handshake succeeded and nobody has closed."""
        return self._proto.state is State.OPEN

    @property
    def close_code(self) -> int | None:
        """The code the peer closed with, or ours after a protocol error."""
        close = self._proto.close_rcvd or self._proto.close_sent
        return int(close.code) if close else None

    def receive(self, data: bytes) -> list[tuple[Opcode, bytes]]:
        """Bytes from the peer (b"" at its end) → whole text, binary and pong messages, in order.

        A peer that puts more than ``MOST_FRAMES_AT_ONCE`` frames into one read is closed with 1008.
        """
        if data:
            self._proto.receive_data(data)
        else:
            self._proto.receive_eof()
        messages: list[tuple[Opcode, bytes]] = []
        events = self._proto.events_received()
        if len(events) > MOST_FRAMES_AT_ONCE:
            self.close(CloseCode.POLICY_VIOLATION, "too many frames")
            return []
        for frame in events:
            if isinstance(frame, Frame):
                self._collect(frame, messages)
        return messages

    def _collect(self, frame: Frame, messages: list[tuple[Opcode, bytes]]) -> None:
        opcode = frame.opcode
        if opcode is Opcode.BINARY or opcode is Opcode.TEXT:
            if frame.fin:
                messages.append((opcode, bytes(frame.data)))
            else:
                self._opcode, self._fragments = opcode, bytearray(frame.data)
        elif opcode is Opcode.CONT:
            self._fragments += frame.data  # one buffer: a list would grow with fragments that hold nothing
            if frame.fin:
                messages.append((self._opcode, bytes(self._fragments)))
                self._fragments = bytearray()
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

    def outgoing(self) -> bytes:
        """The bytes to send now (handshake answer, pongs, what was queued); b"" for none."""
        answer, self._answer = self._answer, b""
        return answer + b"".join(self._proto.data_to_send())


def accept(taken: Taken, max_message_bytes: int) -> ServerSocket:
    """The connection's WebSocket; its first ``outgoing`` is the handshake's answer (101, or 4xx and not open)."""
    return ServerSocket(taken, max_message_bytes)
