"""What the server and a viewer worker say to each other: one message a packet, some with one descriptor.

To the worker: ``Seat`` (with a viewer's socket), ``Show`` (with a sealed memfd of ``size`` bytes; none for size 0) and
``Forget``. From it: ``Ended`` and, once a second and at its start, ``Beat``. Byte order is the machine's: both ends are
on it. Rooms and viewers have numbers that are never used twice on one channel.
"""

from __future__ import annotations

import math
import struct
from typing import ClassVar, TypeAlias

import attrs

# A viewer's head is a few hundred bytes.
MOST_BYTES = 8192
REASONS = ("left", "stalled", "failed")


class BadFanoutMessage(ValueError):
    """A packet that is none of these messages."""


@attrs.frozen
class Seat:
    """Serve this viewer: first ``head``, then the room's pictures, at least ``interval_s`` apart (0: every one)."""

    layout: ClassVar = struct.Struct("=QQd")
    viewer: int
    room: int
    interval_s: float
    head: bytes


@attrs.frozen
class Show:
    """The room's newest picture in the form in which viewers get it; ``size`` 0: it has none to be shown now."""

    layout: ClassVar = struct.Struct("=QQ")
    room: int
    size: int


@attrs.frozen
class Forget:
    """No viewer of the room will come to this worker, and none is left."""

    layout: ClassVar = struct.Struct("=Q")
    room: int


@attrs.frozen
class Ended:
    """That viewer has gone, for one of ``REASONS``; the worker has closed its side of the socket."""

    layout: ClassVar = struct.Struct("=QB")
    viewer: int
    reason: str


@attrs.frozen
class Beat:
    """The worker lives: how many viewers it has, pictures it has sent whole, and seconds of CPU time it has used."""

    layout: ClassVar = struct.Struct("=QQd")
    viewers: int
    pictures: int
    cpu_s: float


Message: TypeAlias = Seat | Show | Forget | Ended | Beat
_KINDS: tuple[type[Message], ...] = (Seat, Show, Forget, Ended, Beat)


def format_message(message: Message) -> bytes:
    """The packet. Raises ValueError for a head that is too long."""
    kind = bytes([_KINDS.index(type(message))])
    match message:
        case Seat(viewer, room, interval_s, head):
            packet = kind + Seat.layout.pack(viewer, room, interval_s) + head
            if len(packet) > MOST_BYTES:
                raise ValueError(f"a head of {len(head)} bytes is too long")
            return packet
        case Show(room, size):
            return format_show(room, size)
        case Forget(room):
            return kind + Forget.layout.pack(room)
        case Ended(viewer, reason):
            return kind + Ended.layout.pack(viewer, REASONS.index(reason))
        case Beat(viewers, pictures, cpu_s):
            return kind + Beat.layout.pack(viewers, pictures, cpu_s)


def format_show(room: int, size: int) -> bytes:
    """A ``Show``: the one packet that is made for every picture."""
    return b"\1" + Show.layout.pack(room, size)


def parse_message(packet: bytes) -> Message:
    """The message. Raises BadFanoutMessage."""
    if not packet or packet[0] >= len(_KINDS) or len(packet) > MOST_BYTES:
        raise BadFanoutMessage(f"no message: {packet[:16].hex()}")
    kind, body = _KINDS[packet[0]], packet[1:]
    size = kind.layout.size
    if len(body) < size or (len(body) > size and kind is not Seat):
        raise BadFanoutMessage(f"a {kind.__name__} of {len(body)} bytes")
    found = kind.layout.unpack_from(body)
    if kind is Seat:
        if not (math.isfinite(found[2]) and found[2] >= 0.0):
            raise BadFanoutMessage("an interval that is none")
        return Seat(found[0], found[1], found[2], body[size:])
    if kind is Ended:
        if found[1] >= len(REASONS):
            raise BadFanoutMessage("an end for no known reason")
        return Ended(found[0], REASONS[found[1]])
    return kind(*found)
