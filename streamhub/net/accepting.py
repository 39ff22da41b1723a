"""Accepting connections for as long as a listener is open, and telling what a connection may die of."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Awaitable, Callable

import structlog
import trio

ACCEPT_AGAIN_S = 0.1
# accept() errors that pass by themselves: out of descriptors or buffers, or the peer was gone already.
_AGAIN = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_GONE = {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH}


async def accept_each(
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
