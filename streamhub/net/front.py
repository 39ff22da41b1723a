"""The front: one port for everything.

Our own accept loop around Hypercorn's Trio server (decision 0001). Every request is parsed by Hypercorn's h11; a
request that ``route`` claims is taken over together with its connection, also the second one on a kept-alive
connection. What follows on such a connection need not pass Hypercorn (``again``, ``kept``). WebSocket upgrades never
reach Hypercorn's own WebSocket code.

Relies on names of hypercorn 0.18 that are not public: ``TCPServer._read_data/_close/idle_task/protocol/protocol_send``,
``H11Protocol._check_protocol/_create_stream/connection``.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import attrs
import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper

from streamhub.net.accepting import Connections, only_network
from streamhub.net.again import Again, Known, parse_query
from streamhub.net.connection import DoorWire, Guarded, GuardedTLS, Taken, tune
from streamhub.net.kept import Kept
from streamhub.net.peers import Peers
from streamhub.net.requests import Door, Route, door_of, in_origin_form
from streamhub.observe.log import get_logger

WRITE_TIMEOUT_S = 30.0
TLS_HANDSHAKE_S = 10.0

log = get_logger("front")


class _Claimed(Exception):
    """Raised inside Hypercorn's parser to get out of it with the connection."""

    def __init__(self, request: h11.Request, rest: bytes, door: Door) -> None:
        self.request, self.rest, self.door = request, rest, door


class _Server(TCPServer):
    """Hypercorn's connection handler, with a look at each request's head before it makes a stream of it."""

    stream: Guarded | GuardedTLS  # type: ignore[assignment]
    route: Route
    claimed: _Claimed | None = None
    read_out = False
    # The head of an answer whose length it tells: it goes out with what follows, or the client is woken for it alone.
    head = b""

    async def _read_data(self) -> None:
        proto = self.protocol.protocol
        assert isinstance(proto, H11Protocol)

        async def check(request: h11.Request) -> None:
            # Replaces the check that would switch to HTTP/2: h2c upgrades are ignored (RFC 9110 §7.8 allows it).
            request = in_origin_form(request)
            if (door := door_of(self.route, request)) is not None:
                raise _Claimed(request, bytes(proto.connection.trailing_data[0]), door)

        create = proto._create_stream

        async def create_in_origin_form(request: h11.Request) -> None:
            await create(in_origin_form(request))

        proto._check_protocol = check  # type: ignore[method-assign,assignment]
        proto._create_stream = create_in_origin_form  # type: ignore[method-assign]
        try:
            await super()._read_data()
        except _Claimed as claim:
            self.claimed = claim
        # Else a connection whose client has left would stay until the keep-alive time is over.
        self.read_out = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            if not self.head and event.data.startswith(b"HTTP/1.1 ") and b"\r\ncontent-length: " in event.data:
                self.head = event.data
                return
            data, self.head = self.head + event.data, b""
            if not self.send_lock.locked():
                # Nearly always the kernel takes all of it. Of six events an answer four have nothing to send: each
                # would cost two cancel scopes and a turn of the loop, in which hundreds of cameras come first.
                data = data[self.stream.send_at_once(data) :]
            if not data:
                return
            event = RawData(data)
        elif self.read_out and isinstance(event, Updated):
            return  # the answer was being sent when the client left: no other request will come after it
        elif self.head and isinstance(event, Closed):  # its body failed
            await self.protocol_send(RawData(b""))
        await super().protocol_send(event)

    async def _close(self) -> None:
        if self.claimed is None:
            await super()._close()


@attrs.define(eq=False)
class Front:
    """Serves connections until ``stop``. ``app`` is the wrapped ASGI application."""

    app: AppWrapper
    config: Config
    route: Route
    peers: Peers
    tls: ssl.SSLContext | None = None
    _context: WorkerContext = attrs.field(factory=lambda: WorkerContext(None))
    _connections: Connections = attrs.field(factory=lambda: Connections(log))
    # Idle ones over TLS; the others are with ``_kept``.
    _idle: set[trio.CancelScope] = attrs.field(factory=set)
    _kept: Kept = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = Kept(self.config.keep_alive_timeout)

    @property
    def connections(self) -> int:
        """Connections this front is serving (those handed over to rooms not counted)."""
        return len(self._connections)

    async def serve(
        self, listeners: Sequence[trio.SocketListener], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept and serve; returns after ``stop`` once every connection has ended."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._kept.run)
            await self._connections.accept(listeners, self._connection, task_status=task_status)
            nursery.cancel_scope.cancel()

    def stop_accepting(self) -> None:
        """Take no new connections from now on; those that exist go on."""
        self._connections.stop_accepting()

    async def stop(self, grace_s: float) -> None:
        """Close idle connections now and the others after ``grace_s``; returns when none is left."""
        self.stop_accepting()
        await self._context.terminated.set()
        for waiting in self._idle:
            waiting.cancel()
        self._kept.stop()
        await self._connections.end(grace_s, self._kept.cut)

    async def _connection(self, stream: trio.SocketStream) -> None:
        kept = False
        try:
            with self._connections.serving(stream):
                kept = await self._requests(stream)
        except Exception as exc:  # the request boundary: one connection never takes the server down
            if not only_network(exc):
                log.error("connection failed", exc_info=exc)
        finally:
            if not kept:
                await trio.aclose_forcefully(stream)

    async def _requests(self, stream: trio.SocketStream) -> bool:
        """Serve one connection; True if a door keeps it."""
        tune(stream.socket)
        tls: trio.SSLStream[trio.SocketStream] | None = None
        if self.tls is not None and stream.socket.family != socket.AF_UNIX:  # a proxy's plain side
            tls = trio.SSLStream(stream, self.tls, server_side=True, https_compatible=True)
            with trio.fail_after(TLS_HANDSHAKE_S):
                await tls.do_handshake()
        rest, again = b"", Again(self.route, lambda request: self._take(request, tls or stream, stream))
        while True:
            known = again.parse(rest) if rest else None
            if known is None:
                wrapped: Any = GuardedTLS(tls, rest, WRITE_TIMEOUT_S) if tls else Guarded(stream, rest, WRITE_TIMEOUT_S)
                server = _Server(self.app, self.config, self._context, {}, wrapped)
                server.route = self.route
                await server.run()
                claimed = server.claimed
                if claimed is None:
                    return False
                taken = self._take(claimed.request, tls or stream, stream)
                taken.rest = claimed.rest
                known = Known(taken, claimed.door)
            taken = known.taken.again() if known.taken.answered else known.taken
            await known.door(taken)
            if taken.handed_over or not taken.answered or self._context.terminated.is_set():
                return taken.handed_over
            rest = taken.rest or await self._more(stream, tls, again)
            if not rest:
                return False

    async def _more(
        self, stream: trio.SocketStream, tls: trio.SSLStream[trio.SocketStream] | None, again: Again
    ) -> bytes:
        """What a client says next on its kept-alive connection and is not answered yet.

        b"" if it leaves, is silent too long, or we stop.
        """
        if tls is None:
            return await self._kept.more(stream, again.answer)
        with trio.CancelScope(deadline=trio.current_time() + self.config.keep_alive_timeout) as waiting:
            self._idle.add(waiting)
            try:
                return bytes(await DoorWire(tls).receive_shared())
            finally:
                self._idle.discard(waiting)
        return b""

    def _take(
        self,
        request: h11.Request,
        stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
        raw: trio.SocketStream,
    ) -> Taken:
        path, _, query = request.target.partition(b"?")
        name = raw.socket.getpeername()
        headers = list(request.headers)
        return Taken(
            method=request.method.decode("ascii"),
            path=unquote(path.decode("ascii")),
            query=parse_query(query),
            headers=headers,
            target=request.target,
            stream=stream,
            rest=b"",
            peer=self.peers.resolve(
                name[0] if isinstance(name, tuple) else None, headers, tls=isinstance(stream, trio.SSLStream)
            ),
            http_version=request.http_version,
        )
