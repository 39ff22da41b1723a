"""The worker's half: takes viewers' sockets and rooms' pictures from the channel, and sends with the rooms' own pump.

It decides nothing: who may watch, and for how long, is the server's affair. It ends when the channel does.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from contextlib import suppress

import attrs
import trio

from streamhub.fanout.channel import Channel
from streamhub.net.connection import DoorWire
from streamhub.rooms.latest import Latest
from streamhub.rooms.pump import Pump
from streamhub.rooms.silent import Silent
from streamhub.rooms.viewer import Viewer
from streamhub.wire.fanout import REASONS, Beat, Ended, Forget, Seat, Show

BEAT_S = 1.0
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.define(eq=False)
class Room:
    """The newest picture of a room as the server gave it: its bytes, and the memfd they came in."""

    latest: Latest = attrs.field(factory=Latest)
    pump: Pump = attrs.field(init=False)
    _memfd: int = -1

    def __attrs_post_init__(self) -> None:
        self.pump = Pump(self.latest, lambda chunk: chunk, seal=self._again)

    def show(self, memfd: int, size: int) -> None:
        """That is the newest one now. Takes the memfd."""
        self._drop()
        self._memfd = memfd
        self.latest.publish(os.pread(memfd, size, 0), live=True)

    def retire(self) -> None:
        """There is none to be shown."""
        self._drop()
        self.latest.retire()

    def _again(self, _chunk: bytes) -> int:
        try:
            return os.dup(self._memfd)
        except OSError:
            return -1  # out of descriptors: copying still works

    def _drop(self) -> None:
        if self._memfd >= 0:
            os.close(self._memfd)
            self._memfd = -1


@attrs.define(eq=False)
class Worker:
    """All of it; ``run`` returns when the server is gone."""

    channel: Channel
    rooms: dict[int, Room] = attrs.field(factory=dict)
    viewers: dict[int, Viewer] = attrs.field(factory=dict)
    # Pictures sent whole to viewers that have left.
    _sent: int = 0

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            with suppress(*_GONE):
                while True:
                    await self._take(nursery)
            nursery.cancel_scope.cancel()
        for room in self.rooms.values():
            room.retire()

    async def _take(self, nursery: trio.Nursery) -> None:
        """All that has come, then each room's newest picture: what was overtaken in the channel nobody gets."""
        shown: dict[Room, None] = {}
        for message, fd in await self.channel.receive():
            match message:
                case Seat():
                    await self._seat(nursery, message, fd)
                case Show():
                    room = self.rooms.setdefault(message.room, Room())
                    if message.size == 0:
                        room.retire()
                    elif fd >= 0:
                        room.show(fd, message.size)
                        shown[room] = None
                case Forget():
                    if (left := self.rooms.pop(message.room, None)) is not None:
                        left.retire()
                case _:
                    pass  # ours to say
        for room in shown:
            if room.latest.jpeg:
                await room.pump.push()

    async def _seat(self, nursery: trio.Nursery, seat: Seat, fd: int) -> None:
        if fd < 0:  # out of descriptors
            await self._tell(seat.viewer, "failed")
            return
        room = self.rooms.setdefault(seat.room, Room())
        wire = DoorWire(trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=fd))))
        viewer = Viewer(wire, room.latest, room.pump, Silent(seat.head), seat.interval_s)
        self.viewers[seat.viewer] = viewer
        nursery.start_soon(self._serve, seat.viewer, viewer, wire)

    async def _serve(self, number: int, viewer: Viewer, wire: DoorWire) -> None:
        try:
            await viewer.run()
            reason = viewer.end_reason if viewer.end_reason in REASONS else "left"
        except Exception:  # one viewer's error is not the others'
            traceback.print_exc(file=sys.stderr)
            reason = "failed"
        finally:
            del self.viewers[number]
            self._sent += viewer.sent
            with trio.CancelScope(shield=True):
                await wire.close()
        await self._tell(number, reason)

    async def _tell(self, viewer: int, reason: str) -> None:
        with suppress(*_GONE):
            await self.channel.send(Ended(viewer, reason))

    async def _beat(self) -> None:
        with suppress(*_GONE):
            while True:
                sent = self._sent + sum(v.sent for v in self.viewers.values())
                await self.channel.send(Beat(len(self.viewers), sent, time.process_time()))
                await trio.sleep(BEAT_S)
