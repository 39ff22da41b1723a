"""One picture to many viewers: the pump writes it to every ready socket without awaiting.

A viewer whose socket does not take the whole chunk leaves the ready set; its own task finishes the picture it is
inside of and then asks for the newest (design D7). From ``SENDFILE_FROM`` viewers on, the chunk goes through a
sealed memfd: the kernel then shares its pages between all sockets instead of copying 25 KB for each.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

import attrs
import trio

from streamhub.rooms.latest import Latest

SENDFILE_FROM = 8
YIELD_EVERY = 128
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@attrs.define(eq=False)
class Outlet:
    """A viewer as the pump sees it: a socket that is between two pictures while it is in the ready set.

    A base rather than a protocol: what is touched for each picture lies at the begin of the object, in one cache line.
    """

    fd: int = attrs.field(init=False, default=-1)
    # Whether it wants one picture at a time.
    paced: bool = attrs.field(init=False, default=False)
    seq: int = attrs.field(init=False, default=0)
    sent: int = attrs.field(init=False, default=0)
    rest: memoryview | None = attrs.field(init=False, default=None)

    def wake(self, *, began: bool) -> None:
        """End the viewer's waiting, after it has left the ready set; ``began``: with (a part of) the picture sent."""
        raise NotImplementedError


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
    ready: dict[Outlet, None] = attrs.field(factory=dict)
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
        if not ready or not self.latest.jpeg:  # it may have been retired before ``push`` had its turn
            return True
        if len(ready) > YIELD_EVERY:
            return False
        chunk = self.chunk()
        memfd = self.seal(chunk) if len(ready) >= SENDFILE_FROM else -1
        try:
            self._write(list(ready), self._chunk_seq, chunk, len(chunk), memfd, yielded=False)
        finally:
            if memfd >= 0:
                os.close(memfd)
        return True

    async def push(self) -> None:
        """Offer the newest picture to every ready outlet; yields to other tasks every ``YIELD_EVERY`` outlets.

        Not cancellable: a picture is written whole or handed to the outlet's own task. If a newer picture comes
        during a yield, or this one is no longer to be shown, the outlets not reached yet do not get it from here.
        """
        if self.offer():
            return
        chunk, seq = self.chunk(), self.latest.seq
        memfd = self.seal(chunk)
        size = len(chunk)
        outlets = list(self.ready)
        try:
            for start in range(0, len(outlets), YIELD_EVERY):
                if start:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                    if self.latest.seq != seq or not self.latest.jpeg:
                        return
                self._write(outlets[start : start + YIELD_EVERY], seq, chunk, size, memfd, yielded=start > 0)
        finally:
            if memfd >= 0:
                os.close(memfd)

    def _write(self, outlets: list[Outlet], seq: int, chunk: bytes, size: int, memfd: int, *, yielded: bool) -> None:
        """The loop that costs: one system call an outlet, and as little as can be around it."""
        ready, sendfile, write = self.ready, os.sendfile, os.write
        for outlet in outlets:
            # During a yield it may have left, or come back with this very picture.
            if outlet.seq == seq or (yielded and outlet not in ready):
                continue
            try:
                count = write(outlet.fd, chunk) if memfd < 0 else sendfile(outlet.fd, memfd, 0, size)
            except OSError:
                count = 0  # no room, or gone: its own task waits for room, then takes the newest picture, or finds out
            if count == size:
                outlet.seq = seq
                outlet.sent += 1
                if not outlet.paced:
                    continue
            elif count > 0:
                outlet.seq = seq
                outlet.rest = memoryview(chunk)[count:]
            del ready[outlet]
            outlet.wake(began=count > 0)
