"""A server's connections: accepted for as long as its listeners are open, and ended with it."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import attrs
import structlog
import trio

ACCEPT_AGAIN_S = 0.1
# accept() errors that pass by themselves: out of descriptors or buffers, or the peer was gone already.
_AGAIN = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_GONE = {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH}


@attrs.define(eq=False)
class Connections:
    """Those being served, until ``end``."""

    log: structlog.stdlib.BoundLogger
    _open: set[trio.SocketStream] = attrs.field(factory=set)
    _accepting: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _left: trio.Event = attrs.field(factory=trio.Event)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def stopping(self) -> bool:
        """Whether none is accepted any more."""
        return self._accepting.cancel_called

    async def accept(
        self,
        listeners: Sequence[trio.SocketListener],
        serve: Callable[[trio.SocketStream], Awaitable[None]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start ``serve`` for each, until ``stop_accepting``; returns when the last has ended. Closes the listeners."""
        async with trio.open_nursery() as connections:
            try:
                with self._accepting:
                    async with trio.open_nursery() as nursery:
                        for listener in listeners:
                            nursery.start_soon(_accept_each, listener, serve, connections, self.log)
                        # The listeners queue connections already: ready means ready to answer them.
                        task_status.started()
            finally:
                for listener in listeners:
                    listener.socket.close()  # also when cancelled, where an await would leave the others open

    @contextmanager
    def serving(self, stream: trio.SocketStream) -> Iterator[None]:
        """Count the connection for the time of the block."""
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)
            self._left.set()

    def stop_accepting(self) -> None:
        """Take no new ones from now on; those that exist go on."""
        self._accepting.cancel()

    async def end(self, grace_s: float, cut: Callable[[], None] = lambda: None) -> None:
        """Return when none is left; those still there after ``grace_s`` are closed, which takes as long at most.

        ``cut`` is called before: whoever else uses their sockets has to let go of them.
        """
        self.stop_accepting()
        with trio.move_on_after(grace_s):
            await self._emptied()
        cut()
        for stream in list(self._open):
            # Closing the socket frees even a send that Hypercorn has shielded.
            await trio.aclose_forcefully(stream)
        with trio.move_on_after(grace_s):
            await self._emptied()

    async def _emptied(self) -> None:
        while self._open:
            self._left = trio.Event()
            await self._left.wait()


async def _accept_each(
    listener: trio.SocketListener,
    serve: Callable[[trio.SocketStream], Awaitable[None]],
    connections: trio.Nursery,
    log: structlog.stdlib.BoundLogger,
) -> None:
    """Start ``serve`` for every connection, until cancelled. Raises OSError if the listener is of no more use."""
    told = False
    while True:
        try:
            stream = await listener.accept()
        except OSError as exc:
            if exc.errno in _AGAIN:
                if not told:
                    hint = "raise the open files limit (ulimit -n)"
                    log.error("cannot accept connections", error=exc.strerror, hint=hint)
                    told = True
                await trio.sleep(ACCEPT_AGAIN_S)
            elif exc.errno not in _GONE:
                raise
            continue
        told = False
        connections.start_soon(serve, stream, name="connection")


def only_network(exc: BaseException) -> bool:
    """Whether nothing happened but a peer that went away or was too slow."""
    if isinstance(exc, BaseExceptionGroup):
        return all(only_network(e) for e in exc.exceptions)
    return isinstance(
        exc, OSError | trio.BrokenResourceError | trio.ClosedResourceError | trio.TooSlowError | ssl.SSLError
    )
