"""A room's newest picture on its way to the workers: one sealed memfd, for them and for the viewers who stayed here.

It is handed over at once, inside ``Latest.publish``: a task for each picture would cost more than the handing over.
"""

from __future__ import annotations

import os
from contextlib import suppress

import attrs
import trio

from streamhub.fanout.channel import Channel
from streamhub.rooms.pump import Pump, sealed
from streamhub.wire.fanout import format_show


@attrs.define(eq=False)
class Picture:
    """The newest picture of a pump whose viewers are partly in workers. ``users`` is its owner's count."""

    pump: Pump
    users: int = 0
    watched: dict[Watched, None] = attrs.field(factory=dict)
    # The number of the picture in the memfd; 0: there is none to be shown.
    seq: int = 0
    size: int = 0
    memfd: int = -1

    def __attrs_post_init__(self) -> None:
        self._take()
        self.pump.latest.follow, self.pump.seal = self._changed, self._again

    def close(self) -> None:
        """Nobody watches by a worker any more."""
        self.pump.latest.follow, self.pump.seal = None, sealed
        self._drop()

    def _changed(self) -> None:
        self._take()
        for room in self.watched:
            room.offer()

    def _take(self) -> None:
        self._drop()
        latest = self.pump.latest
        if latest.jpeg:
            chunk = self.pump.chunk()
            self.memfd, self.size = sealed(chunk), len(chunk)
            # Without memory or descriptors for it this one is not shown by the workers.
            self.seq = latest.seq if self.memfd >= 0 else 0

    def _drop(self) -> None:
        if self.memfd >= 0:
            os.close(self.memfd)
        self.memfd, self.size, self.seq = -1, 0, 0

    def _again(self, chunk: bytes) -> int:
        """As ``sealed`` for the pump here, which has the same picture, nearly always."""
        if self.seq != self.pump.latest.seq or self.memfd < 0:
            return sealed(chunk)
        try:
            return os.dup(self.memfd)
        except OSError:
            return -1


@attrs.define(eq=False)
class Watched:
    """A room as one worker has it. ``run`` sends what could not be sent at once."""

    number: int
    picture: Picture
    channel: Channel
    viewers: int = 0
    # The number of the picture that the worker has.
    _shown: int = 0
    _behind: trio.Event = attrs.field(factory=trio.Event)
    _ended: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def __attrs_post_init__(self) -> None:
        self.picture.watched[self] = None

    def offer(self) -> None:
        """There is a new picture, or none any more: tell the worker, at once or as soon as it has room."""
        if self._shown != self.picture.seq:
            packet, memfd = self._newest()
            with suppress(trio.BrokenResourceError):  # told by who listens
                if self.channel.send_now(packet, memfd):
                    return
            self._shown = -1
            self._behind.set()

    async def run(self) -> None:
        """Until ``end``. Raises what ``Channel.send`` does."""
        with self._ended:
            while True:
                self._behind = trio.Event()
                if self._shown != self.picture.seq:
                    await self.channel.send_newest(self._newest)
                else:
                    await self._behind.wait()

    def end(self) -> None:
        """No viewer is left."""
        del self.picture.watched[self]
        self._ended.cancel()

    def _newest(self) -> tuple[bytes, int]:
        self._shown = self.picture.seq
        return format_show(self.number, self.picture.size), self.picture.memfd
