"""One picture to many viewers: the pump writes it to every ready socket without awaiting.

A viewer whose socket does not take the whole chunk leaves the ready set; its own task finishes the picture it is
inside of and then asks for the newest (design D7). From ``SENDFILE_FROM`` viewers on, the chunk goes through a
sealed memfd: the kernel then shares its pages between all sockets instead of copying 25 KB for each.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Protocol

import attrs
import trio

from streamhub.rooms.latest import Latest

SENDFILE_FROM = 8
YIELD_EVERY = 128
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Outlet(Protocol):
    """A viewer as the pump sees it: a socket that is between two pictures while it is in the ready set."""

    seq: int
    sent: int
    rest: memoryview | None

    @property
    def fd(self) -> int:
        """The socket."""
        ...

    @property
    def paced(self) -> bool:
        """Whether it wants one picture at a time."""
        ...

    def wake(self) -> None:
        """End the viewer's waiting; called after it has left the ready set."""
        ...


def _sealed(chunk: bytes) -> int:
    """A memfd holding ``chunk`` that can never change again, for the kernel shares its pages; -1 if there is none."""
    try:
        memfd = os.memfd_create("frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return -1  # out of descriptors: copying still works
    with open(memfd, "wb", closefd=False, buffering=0) as file:
        file.write(chunk)
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
    return memfd


@attrs.define(eq=False)
class Pump:
    """Delivers ``latest`` in one form (multipart parts, or WebSocket messages) to the outlets in ``ready``."""

    latest: Latest
    form: Callable[[bytes], bytes]
    ready: dict[Outlet, None] = attrs.field(factory=dict)
    _chunk: bytes = b""
    _chunk_seq: int = 0

    def chunk(self) -> bytes:
        """The newest picture in this pump's form, built once however many ask."""
        if self._chunk_seq != self.latest.seq:
            self._chunk = self.form(self.latest.jpeg)
            self._chunk_seq = self.latest.seq
        return self._chunk

    async def push(self) -> None:
        """Offer the newest picture to every ready outlet; yields to other tasks every ``YIELD_EVERY`` outlets.

        Not cancellable: a picture is written whole or handed to the outlet's own task. If a newer picture comes
        during a yield, that one's push serves the outlets not reached yet.
        """
        if not self.ready:
            return
        chunk, seq = self.chunk(), self.latest.seq
        if len(self.ready) < SENDFILE_FROM:
            for outlet in list(self.ready):
                self._deliver(outlet, seq, chunk, lambda fd: os.write(fd, chunk))
            return
        memfd = _sealed(chunk)
        try:
            for count, outlet in enumerate(list(self.ready), 1):
                if outlet in self.ready:  # it may have left during a yield
                    if memfd >= 0:
                        self._deliver(outlet, seq, chunk, lambda fd: os.sendfile(fd, memfd, 0, len(chunk)))
                    else:
                        self._deliver(outlet, seq, chunk, lambda fd: os.write(fd, chunk))
                if count % YIELD_EVERY == 0:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                    if self.latest.seq != seq:
                        return
        finally:
            if memfd >= 0:
                os.close(memfd)

    def _deliver(self, outlet: Outlet, seq: int, chunk: bytes, write: Callable[[int], int]) -> None:
        try:
            count = write(outlet.fd)
        except BlockingIOError:
            count = 0
        except OSError:
            count = -1  # gone: its task finds out by itself
        outlet.seq = seq
        if count == len(chunk):
            outlet.sent += 1
            if not outlet.paced:
                return
            outlet.rest = None
        else:
            outlet.rest = memoryview(chunk)[max(count, 0) :]
        del self.ready[outlet]
        outlet.wake()
