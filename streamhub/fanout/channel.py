"""One end of the channel between server and worker: packets of ``wire.fanout``, with a descriptor or without.

A Unix socket pair that keeps packets apart. Little fits into it, on purpose: what waits in it is old when it is read.
Source: unix(7), SOCK_SEQPACKET and SCM_RIGHTS.
"""

from __future__ import annotations

import array
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import attrs
import trio

from streamhub.wire.fanout import MOST_BYTES, Message, format_message, parse_message

# Bytes as the kernel counts them, close to 1 KB for the smallest packet; it doubles what it is told.
BUFFER_BYTES = 16 * 1024
# Packets taken before anything is done about them.
MOST_AT_ONCE = 64
_ONE = array.array("i", [-1])
_ANCILLARY = socket.CMSG_SPACE(_ONE.itemsize)
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


@attrs.define(eq=False)
class Channel:
    """Sends in the order asked for, and receives.

    Everything raises BrokenResourceError once the other end is gone, or the kernel refuses to pass more on.
    """

    sock: socket.socket
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    async def send(self, message: Message, fd: int = -1) -> None:
        """Send it when there is room; ``fd`` stays open here, and the other end gets another one of the same."""
        packet = format_message(message)
        async with self._in_turn():
            while not self._sent(packet, fd):
                await trio.lowlevel.wait_writable(self.sock)

    def send_now(self, packet: bytes, fd: int = -1) -> bool:
        """Send a packet if there is room and nobody's turn; whether it was sent. See ``send``."""
        return not self._turn.locked() and self._sent(packet, fd)

    async def send_newest(self, make: Callable[[], tuple[bytes, int]]) -> None:
        """Send the packet and the descriptor that ``make`` gives once there is room. See ``send``."""
        async with self._in_turn():
            while not self._sent(*make()):
                await trio.lowlevel.wait_writable(self.sock)

    async def receive(self) -> list[tuple[Message, int]]:
        """What has come, one message or more, each with its descriptor, now the caller's, or -1.

        Raises BadFanoutMessage, and BrokenResourceError at the end.
        """
        await trio.lowlevel.wait_readable(self.sock)
        found: list[tuple[Message, int]] = []
        while len(found) < MOST_AT_ONCE:
            try:
                packet, ancillary, _, _ = self.sock.recvmsg(
                    MOST_BYTES, _ANCILLARY, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                break
            except OSError as exc:
                raise trio.BrokenResourceError from exc
            if not packet:
                if found:
                    break  # these first; the end is still there then
                raise trio.BrokenResourceError("the other end is gone")
            fd = -1
            for _, _, data in ancillary:
                fd = array.array("i", data[: _ONE.itemsize])[0]
            found.append((parse_message(packet), fd))
        return found

    def close(self) -> None:
        """Close it; whoever waits on it gets ClosedResourceError. May be called again."""
        if self.sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self.sock)
            self.sock.close()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        try:
            self._turn.acquire_nowait()
        except trio.WouldBlock:
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    def _sent(self, packet: bytes, fd: int) -> bool:
        """Whether there was room for it."""
        rights = [] if fd < 0 else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self.sock.sendmsg([packet], rights, _FLAGS)
        except BlockingIOError:
            return False
        except OSError as exc:
            raise trio.BrokenResourceError from exc
        return True


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends, not inherited by children unless they are passed on."""
    both = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in both:
        with suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return both
