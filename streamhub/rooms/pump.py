"""One picture to many viewers: the pump writes it to every ready socket without awaiting.

A viewer whose socket does not take the whole chunk leaves the ready set; its own task finishes the picture it is
inside of and then asks for the newest (design D7). From ``SENDFILE_FROM`` viewers on, the chunk goes through a
sealed memfd: the kernel then shares its pages between all sockets instead of copying 25 KB for each.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from itertools import repeat
from operator import length_hint

import attrs
import trio

from streamhub.rooms.latest import Latest
from streamhub.rooms.ready import CROWD_FROM, Outlet, Ready

SENDFILE_FROM = 8
# To more it is not sent within the turn of who brings the picture, for that one may bring those of other rooms too.
AT_ONCE = 128
# Others have their turn after so many, or after a twelfth of a larger crowd. A turn costs as much as ten viewers: 2 to
# 4 % less at 500 viewers than with 128, 3 % less at 2 500 with 1 024. It is what a REST call waits for a few times:
# beside 4 000 viewers 18 instead of 12 ms (p99).
YIELD_EVERY = 256
MOST_PARTS = 12
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def sealed(chunk: bytes) -> int:
    """A memfd holding ``chunk`` that can never change again, for the kernel shares its pages; -1 if there is none."""
    try:
        memfd = os.memfd_create("frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return -1  # out of descriptors: copying still works
    try:
        written = os.write(memfd, chunk)
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        written = -1
    if written != len(chunk):  # out of memory
        os.close(memfd)
        return -1
    return memfd


@attrs.define(eq=False)
class Pump:
    """Delivers ``latest`` in one form (multipart parts, or WebSocket messages) to the outlets in ``ready``."""

    latest: Latest
    form: Callable[[bytes], bytes]
    ready: Ready = attrs.field(factory=Ready)
    # Makes a descriptor of the chunk, -1 if it cannot; closed after the picture.
    seal: Callable[[bytes], int] = sealed
    _chunk: bytes = b""
    _chunk_seq: int = 0

    def chunk(self) -> bytes:
        """The newest picture in this pump's form, built once however many ask."""
        if self._chunk_seq != self.latest.seq:
            self._chunk = self.form(self.latest.jpeg)
            self._chunk_seq = self.latest.seq
        return self._chunk

    def offer(self) -> bool:
        """Offer the newest picture to every ready outlet, if they are few; False if they are not: await ``push``."""
        ready = self.ready
        count = ready.count
        if not count or not self.latest.jpeg:  # it may have been retired before ``push`` had its turn
            return True
        if count > AT_ONCE:
            return False
        chunk = self.chunk()
        memfd = self.seal(chunk) if count >= SENDFILE_FROM else -1
        try:
            if len(ready.singles) == count < CROWD_FROM:
                self._to_singles(list(ready.singles), chunk, memfd)
            else:
                self._to_crowd(ready.begin(self._chunk_seq), chunk, memfd)
                if ready.singles:
                    self._to_singles(list(ready.singles), chunk, memfd)
                    ready.end()
        finally:
            if memfd >= 0:
                os.close(memfd)
        return True

    async def push(self) -> None:
        """Offer the newest picture to every ready outlet; yields to other tasks after each part (``YIELD_EVERY``).

        Not cancellable: a picture is written whole or handed to the outlet's own task. If a newer picture comes
        during a yield, or this one is no longer to be shown, the outlets not reached yet do not get it from here.
        """
        if self.offer():
            return
        chunk, ready = self.chunk(), self.ready
        memfd = self.seal(chunk)
        try:
            fds, turn = ready.begin(self._chunk_seq), ready.turn
            part = max(YIELD_EVERY, ready.count // MOST_PARTS)
            for start in range(0, len(fds), part):
                if start and not await self._goes_on(turn):
                    return
                self._to_crowd(ready.reach(fds[start : start + part]), chunk, memfd)
            singles = list(ready.singles)
            for start in range(0, len(singles), part):
                yielded = bool(start or fds)
                if yielded and not await self._goes_on(turn):
                    return
                self._to_singles(singles[start : start + part], chunk, memfd, yielded=yielded)
            ready.end()
        finally:
            if memfd >= 0:
                os.close(memfd)

    async def _goes_on(self, turn: int) -> bool:
        """Let others have their turn; whether the round of that number is still to go on after it."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        # If another turn has come, that one sends what is newer, or the same to those who do not have it yet.
        return self.ready.turn == turn and self.latest.seq == self.ready.seq and bool(self.latest.jpeg)

    def _to_crowd(self, fds: list[int], chunk: bytes, memfd: int) -> None:
        """The loop that costs: one system call an outlet, and as little as can be around it."""
        sendfile, write, size, left = os.sendfile, os.write, len(chunk), iter(fds)
        while True:
            if memfd < 0:
                calls = map(write, left, repeat(chunk))
            else:
                calls = map(sendfile, left, repeat(memfd), repeat(0), repeat(size))
            try:
                for count in calls:
                    if count != size:
                        break
                else:
                    return
            except OSError:
                count = 0
            # Whoever was called last: a list's iterator knows exactly how many it has left.
            self._behind(self.ready.missed(fds[-1 - length_hint(left)]), chunk, count)

    def _to_singles(self, outlets: list[Outlet], chunk: bytes, memfd: int, *, yielded: bool = False) -> None:
        ready, seq, size, sendfile, write = self.ready, self._chunk_seq, len(chunk), os.sendfile, os.write
        for outlet in outlets:
            # During a yield it may have left, or come back with this very picture.
            if outlet.own_seq == seq or (yielded and outlet not in ready.singles):
                continue
            try:
                count = write(outlet.fd, chunk) if memfd < 0 else sendfile(outlet.fd, memfd, 0, size)
            except OSError:
                count = 0
            if count != size:
                ready.discard(outlet)
                self._behind(outlet, chunk, count)
                continue
            outlet.own_seq = seq
            outlet.own_sent += 1
            if outlet.paced:
                ready.discard(outlet)
                outlet.wake(began=True)

    def _behind(self, outlet: Outlet, chunk: bytes, count: int) -> None:
        """It did not take all: there is no room, or nobody. Its own task waits for room, then sends the rest of this
        picture, or the newest if nothing of this one was sent; or finds out that the peer is gone.
        """
        if count > 0:
            outlet.own_seq = self._chunk_seq
            outlet.rest = memoryview(chunk)[count:]
        outlet.wake(began=count > 0)
