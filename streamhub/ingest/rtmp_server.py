"""The RTMP server: encoders publish to ``rtmp://host/live/<stream key>``; connections, their limits and their end."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import attrs
import trio

from streamhub.ingest.limiter import WindowLimiter
from streamhub.ingest.rtmp_connection import RtmpConnection, Silent
from streamhub.ingest.rtmp_publisher import RtmpPublisher
from streamhub.model.relays import OpensPush, PushAuthority
from streamhub.net.accepting import Connections, only_network
from streamhub.net.connection import tune
from streamhub.observe.log import get_logger
from streamhub.wire.rtmp.errors import RtmpError

OPENING_S = 10.0  # from the connection to the publish command, TLS included
MOST_FROM_ONE_ADDRESS = 64
_TLS_HANDSHAKE = b"\x16"  # the first byte of TLS; RTMP's is 3

log = get_logger("rtmp")

_Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@attrs.define(eq=False)
class RtmpServer:
    """Serves encoders until ``stop``."""

    authority: PushAuthority
    relays: OpensPush
    _publisher: RtmpPublisher = attrs.field(init=False)
    _crowds: WindowLimiter = attrs.field(factory=lambda: WindowLimiter(1))  # one line a minute about an address
    _counts: Counter[str] = attrs.field(factory=Counter)
    _connections: Connections = attrs.field(factory=lambda: Connections(log))
    _scopes: set[trio.CancelScope] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self._publisher = RtmpPublisher(self.authority, self.relays)

    @property
    def connections(self) -> int:
        """Connections being served, publishing or not yet."""
        return len(self._connections)

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        tls: ssl.SSLContext | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve; returns after ``stop`` once every connection has ended. With ``tls`` it is RTMPS too."""

        async def serve_one(stream: trio.SocketStream) -> None:
            await self._connection(stream, tls)

        await self._connections.accept(listeners, serve_one, task_status=task_status)

    async def stop(self, grace_s: float) -> None:
        """Tell every encoder that the server stops, and return when none is left, after about ``grace_s`` at most."""
        self._connections.stop_accepting()
        for scope in self._scopes:
            scope.cancel()
        await self._connections.end(grace_s)

    async def _connection(self, raw: trio.SocketStream, tls: ssl.SSLContext | None) -> None:
        address = _address(raw)
        self._counts[address] += 1
        scope = trio.CancelScope()
        self._scopes.add(scope)
        try:
            with self._connections.serving(raw):
                if self._connections.stopping or self._crowded(address):
                    return
                tune(raw.socket)
                await self._serve(raw, tls, address, scope)
        except Exception as exc:  # the request boundary: one connection never takes the server down
            if not only_network(exc):
                log.error("connection failed", ip=address, exc_info=exc)
        finally:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]
            self._scopes.remove(scope)
            await trio.aclose_forcefully(raw)

    def _crowded(self, address: str) -> bool:
        if self._counts[address] <= MOST_FROM_ONE_ADDRESS:
            return False
        now = trio.current_time()
        if not self._crowds.exceeded(address, now):
            self._crowds.count(address, now)
            log.warning("too many connections from one address", ip=address, most=MOST_FROM_ONE_ADDRESS)
        return True

    async def _serve(
        self, raw: trio.SocketStream, tls: ssl.SSLContext | None, address: str, scope: trio.CancelScope
    ) -> None:
        deadline = trio.current_time() + OPENING_S
        connection = None
        with scope:
            with trio.fail_at(deadline):
                connection = RtmpConnection(raw if tls is None else await _maybe_tls(raw, tls))
            try:
                await self._publisher.publish(connection, address, deadline)
            except RtmpError as exc:
                log.info("not understood", ip=address, error=str(exc))
            except Silent:
                log.info("silent before publishing", ip=address)
        if connection is None:
            return
        if scope.cancelled_caught:
            connection.session.refuse("the server is stopping: connect again in a moment")
        await connection.hang_up()


async def _maybe_tls(raw: trio.SocketStream, tls: ssl.SSLContext) -> _Stream:
    """The connection, under TLS if that is what its client begins with: many cameras and drones know none."""
    if await raw.socket.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
        return raw
    stream = trio.SSLStream(raw, tls, server_side=True, https_compatible=True)
    await stream.do_handshake()
    return stream


def _address(stream: trio.SocketStream) -> str:
    try:
        name = stream.socket.getpeername()
    except OSError:  # gone already
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""
