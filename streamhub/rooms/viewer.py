"""One viewer of a room: a single small task that waits, while the pump does the sending.

The task parks on its socket. It wakes when the peer leaves or says something, when the pump could not write a
whole picture, when the room's state changed, when a slower pace makes the next picture due, or to ping.
"""

from __future__ import annotations

import math
from typing import Protocol

import attrs
import trio

from streamhub.rooms.latest import Latest
from streamhub.rooms.pump import Pump
from streamhub.rooms.ready import Outlet

FRAME_DEADLINE_S = 10.0


class Side(Protocol):
    """What a viewer and we say to each other beside the pictures."""

    def received(self, data: bytes) -> bool:
        """Bytes from the peer (b"" at its end); whether to go on. Answers come out of ``pending``."""
        ...

    def pending(self) -> bytes:
        """Bytes to send before the next picture (a state message, a pong, a ping); b"" for none."""
        ...

    def next_at(self) -> float:
        """When ``pending`` may have something by itself (a ping is due); ``inf`` for never."""
        ...

    def alive(self) -> bool:
        """Whether the peer has shown signs of life lately."""
        ...


class Wire(Protocol):
    """A viewer's connection. ``fd`` is -1 where raw bytes must not be written to it (TLS)."""

    fd: int

    async def send_all(self, data: bytes | memoryview) -> None: ...

    async def wait_writable(self) -> None: ...

    async def wait_readable(self) -> None: ...

    async def receive(self) -> bytes: ...


@attrs.define(eq=False)
class Viewer(Outlet):
    """Delivers a room's pictures to one connection until the peer leaves, stalls, or is made to go.

    ``interval_s`` is the least time between two pictures (0: every one), ``until`` when it must go by Trio's clock.
    Whoever runs it closes the connection.
    ``end_reason`` says why it ended: ``left``, ``stalled``, ``silent``, ``dismissed`` or ``expired``. ``midway`` is
    True where it ended inside a picture: nothing more may be sent then.
    """

    wire: Wire
    latest: Latest
    pump: Pump
    side: Side
    interval_s: float = 0.0
    until: float = math.inf
    end_reason: str = "left"
    midway: bool = False
    _due: float = -math.inf
    _park: trio.CancelScope | None = None
    _left: bool = False
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def __attrs_post_init__(self) -> None:
        self.fd, self.paced = self.wire.fd, self.interval_s > 0.0

    def wake(self, *, began: bool) -> None:
        """The pump has delivered in whole or in part, or found no room for anything: end the waiting."""
        if began:
            self._sent_one()
        assert self._park is not None  # it was in the ready set: it is parked
        self._park.cancel()

    def poke(self) -> None:
        """Make the task look at ``side.pending()`` before any further picture."""
        self.pump.ready.discard(self)
        if self._park is not None:
            self._park.cancel()

    def dismiss(self, reason: str = "dismissed") -> None:
        """Make the viewer go, even from the middle of a picture. Returns at once."""
        self.end_reason = reason
        self._scope.cancel()

    async def run(self) -> None:
        """Run until the viewer is gone. If cancelled, it stops wherever it is."""
        self._scope.deadline = self.until
        try:
            with self._scope:
                if self.wire.fd >= 0:
                    await self._loop()
                    return
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read)
                    await self._loop()
                    nursery.cancel_scope.cancel()
        finally:
            self.pump.ready.discard(self)
            self.midway = self.midway or self.rest is not None
            if self._scope.cancelled_caught and self.end_reason == "left":
                self.end_reason = "expired"

    async def _loop(self) -> None:
        room_to_send = False
        try:
            while not self._left:
                if self.rest is not None:
                    rest, self.rest = self.rest, None
                    await self._send(rest)
                    self.sent += 1
                elif said := self.side.pending():
                    await self._send(said)
                elif not self.side.alive():
                    self.end_reason = "silent"
                    return
                elif self.latest.newer_than(self.seq) and trio.current_time() >= self._due:
                    if not room_to_send:
                        # First the room, then the choice: what was newest before a long wait is old after it.
                        with trio.fail_after(FRAME_DEADLINE_S):
                            await self.wire.wait_writable()
                        room_to_send = True
                        continue
                    room_to_send = False
                    chunk, self.seq = self.pump.chunk(), self.latest.seq
                    await self._send(chunk)
                    self.sent += 1
                    self._sent_one()
                else:
                    await self._wait()
        except trio.TooSlowError:
            self.end_reason = "stalled"
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass

    def _sent_one(self) -> None:
        if self.interval_s > 0.0:
            # Keep the average: a picture that came late does not push the following ones back.
            now = trio.current_time()
            due = self._due + self.interval_s
            self._due = due if due > now - self.interval_s else now + self.interval_s

    async def _send(self, data: bytes | memoryview) -> None:
        self.midway = True
        with trio.fail_after(FRAME_DEADLINE_S):
            await self.wire.send_all(data)
        self.midway = False

    async def _wait(self) -> None:
        """Park until there is something to do; in the ready set when up to date."""
        current, due = not self.latest.newer_than(self.seq), trio.current_time() >= self._due
        deadline = self.side.next_at() if due else min(self.side.next_at(), self._due)
        raw = self.wire.fd >= 0
        self._park = scope = trio.CancelScope(deadline=deadline)
        if raw and current and due:
            self.pump.ready.add(self)
        try:
            with scope:
                if raw:
                    await self.wire.wait_readable()
                elif due:
                    await self.latest.wait_newer(self.seq)
                else:
                    await trio.sleep_forever()
        finally:
            self._park = None
            self.pump.ready.discard(self)
        if raw and not scope.cancelled_caught:
            self._take(await self.wire.receive())

    def _take(self, data: bytes) -> None:
        if not self.side.received(data):
            self._left = True

    async def _read(self) -> None:
        """TLS: decrypting needs a reader of its own."""
        try:
            while not self._left:
                self._take(await self.wire.receive())
                self.poke()
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            self._left = True
            self.poke()
