"""The front: one port for everything.

Our own accept loop around Hypercorn's Trio server (decision 0001). Every request is parsed by Hypercorn's h11; a
request that ``route`` claims is taken over together with its connection, also the second one on a kept-alive
connection. WebSocket upgrades never reach Hypercorn's own WebSocket code.

Relies on names of hypercorn 0.18 that are not public: ``TCPServer._read_data/_close/idle_task/protocol``,
``H11Protocol._check_protocol/_create_stream/connection``.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import attrs
import h11
import trio
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper

from streamhub.errors import BadRequest
from streamhub.net.accepting import Connections, only_network
from streamhub.net.connection import DoorWire, Guarded, GuardedTLS, Taken, tune
from streamhub.net.peers import Peers
from streamhub.observe.log import get_logger
from streamhub.wire.http import format_error

Door: TypeAlias = Callable[[Taken], Awaitable[None]]
# (method, path without query, whether it is a WebSocket upgrade) -> who takes it; None: the web application.
Route: TypeAlias = Callable[[str, str, bool], Door | None]

WRITE_TIMEOUT_S = 30.0
TLS_HANDSHAKE_S = 10.0
REFUSE_S = 1.0
LINGER_BYTES = 1024 * 1024
# Heads kept of a connection, and the longest of them.
MOST_REMEMBERED = 4
MOST_REMEMBERED_BYTES = 2048
_END_OF_HEAD = b"\r\n\r\n"
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)((?:[/?][^#]*)?)", re.IGNORECASE)

log = get_logger("front")


class _Claimed(Exception):
    """Raised inside Hypercorn's parser to get out of it with the connection."""

    # What its door got last time, if the claim is kept.
    taken: Taken | None = None

    def __init__(self, request: h11.Request, rest: bytes, door: Door) -> None:
        self.request, self.rest, self.door = request, rest, door


class _Server(TCPServer):
    """Hypercorn's connection handler, with a look at each request's head before it makes a stream of it."""

    route: Route
    claimed: _Claimed | None = None

    async def _read_data(self) -> None:
        proto = self.protocol.protocol
        assert isinstance(proto, H11Protocol)

        async def check(request: h11.Request) -> None:
            # Replaces the check that would switch to HTTP/2: h2c upgrades are ignored (RFC 9110 §7.8 allows it).
            request = _in_origin_form(request)
            if (door := _door(self.route, request)) is not None:
                raise _Claimed(request, bytes(proto.connection.trailing_data[0]), door)

        create = proto._create_stream

        async def create_in_origin_form(request: h11.Request) -> None:
            await create(_in_origin_form(request))

        proto._check_protocol = check  # type: ignore[method-assign,assignment]
        proto._create_stream = create_in_origin_form  # type: ignore[method-assign]
        try:
            await super()._read_data()
        except _Claimed as claim:
            self.claimed = claim
        # Else a connection whose client has left would stay until the keep-alive time is over.
        await self.idle_task.stop()

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
    _idle: set[trio.CancelScope] = attrs.field(factory=set)

    @property
    def connections(self) -> int:
        """Connections this front is serving (those handed over to rooms not counted)."""
        return len(self._connections)

    async def serve(
        self, listeners: Sequence[trio.SocketListener], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept and serve; returns after ``stop`` once every connection has ended."""
        await self._connections.accept(listeners, self._connection, task_status=task_status)

    def stop_accepting(self) -> None:
        """Take no new connections from now on; those that exist go on."""
        self._connections.stop_accepting()

    async def stop(self, grace_s: float) -> None:
        """Close idle connections now and the others after ``grace_s``; returns when none is left."""
        self.stop_accepting()
        await self._context.terminated.set()
        for waiting in self._idle:
            waiting.cancel()
        await self._connections.end(grace_s)

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
        rest, again = b"", _Again(self.route)
        while True:
            claimed = again.parse(rest) if rest else None
            if claimed is None:
                wrapped: Any = GuardedTLS(tls, rest, WRITE_TIMEOUT_S) if tls else Guarded(stream, rest, WRITE_TIMEOUT_S)
                server = _Server(self.app, self.config, self._context, {}, wrapped)
                server.route = self.route
                await server.run()
                claimed = server.claimed
            if claimed is None:
                return False
            claimed.taken = taken = (
                claimed.taken.again() if claimed.taken else self._take(claimed, tls or stream, stream)
            )
            await claimed.door(taken)
            if taken.handed_over or not taken.answered or self._context.terminated.is_set():
                return taken.handed_over
            rest = taken.rest or await self._await_more(tls or stream)
            if not rest:
                return False

    async def _await_more(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> bytes:
        """What a client says next on its kept-alive connection; b"" if it leaves, is silent too long, or we stop."""
        with trio.CancelScope(deadline=trio.current_time() + self.config.keep_alive_timeout) as waiting:
            self._idle.add(waiting)
            try:
                return bytes(await DoorWire(stream).receive_shared())
            finally:
                self._idle.discard(waiting)
        return b""

    def _take(
        self, claim: _Claimed, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], raw: trio.SocketStream
    ) -> Taken:
        request = claim.request
        path, _, query = request.target.partition(b"?")
        name = raw.socket.getpeername()
        headers = list(request.headers)
        params: dict[str, str] = {}
        for key, value in parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True):
            params.setdefault(key, value)
        return Taken(
            method=request.method.decode("ascii"),
            path=unquote(path.decode("ascii")),
            query=params,
            headers=headers,
            target=request.target,
            stream=stream,
            rest=claim.rest,
            peer=self.peers.resolve(
                name[0] if isinstance(name, tuple) else None, headers, tls=isinstance(stream, trio.SSLStream)
            ),
            http_version=request.http_version,
        )


@attrs.define
class _Again:
    """Parses what follows on a connection that a door has answered on: Hypercorn's handler costs ten times as much.

    Whoever polls a picture or a playlist sends the same bytes each time, and so the same request. Only a whole head
    for a door is taken; anything else (in pieces, long, wrong, for the web application) goes to Hypercorn as it came.
    """

    route: Route
    _known: dict[bytes, _Claimed | None] = attrs.field(factory=dict)

    def parse(self, data: bytes) -> _Claimed | None:
        """The request if a door takes it."""
        if data in self._known:
            return self._known[data]
        if not data.endswith(_END_OF_HEAD) or data.count(_END_OF_HEAD) != 1 or len(data) > MOST_REMEMBERED_BYTES:
            return None
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(data)
        try:
            request = parser.next_event()
        except h11.RemoteProtocolError:
            return None
        if not isinstance(request, h11.Request):
            return None
        request = _in_origin_form(request)
        door = _door(self.route, request)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[data] = claimed = None if door is None else _Claimed(request, b"", door)
        return claimed


def _door(route: Route, request: h11.Request) -> Door | None:
    """Who takes the request, itself in origin form, away from the web application."""
    if (refuse := _refusal(request)) is not None:
        return refuse
    path = request.target.partition(b"?")[0].decode("ascii")
    upgrade = request.method == b"GET" and any(
        k == b"upgrade" and v.strip().lower() == b"websocket" for k, v in request.headers
    )
    return route(request.method.decode("ascii"), path, upgrade)


def _in_origin_form(request: h11.Request) -> h11.Request:
    """The same request with a path as its target: ``http://host/path`` means ``/path`` and ``Host: host``.

    RFC 9112 §3.2.2. A target in no form that means something here stays as it is, and is refused.
    """
    absolute = _ABSOLUTE.fullmatch(request.target)
    if absolute is None:
        return request
    host, rest = absolute.groups()
    return h11.Request(
        method=request.method,
        target=rest if rest.startswith(b"/") else b"/" + rest,
        headers=[(k, v) for k, v in request.headers if k != b"host"] + [(b"host", host)],
        http_version=request.http_version,
    )


def _refusal(request: h11.Request) -> Door | None:
    """Who turns a request away that others on the way here may have understood differently; None for a clear one."""
    names = {name for name, _ in request.headers}
    if not request.http_version.startswith(b"1."):  # the HTTP/2 preface looks like such a request
        error = BadRequest("this port speaks HTTP/1.1", code="http_version", hint="Use HTTP/1.1.")
    elif request.method == b"CONNECT":  # a 2xx to it would end HTTP on this connection
        error = BadRequest("this is not a proxy", code="no_proxy", hint="Send the request without a proxy.")
    elif not request.target.startswith(b"/") and request.target != b"*":
        error = BadRequest(
            "the request's target is no path", code="bad_request_target", hint="Send a path: GET /api/v1/health"
        )
    elif b"transfer-encoding" in names and (b"content-length" in names or request.http_version != b"1.1"):
        # RFC 9112 §6.1: the way to smuggle a second request past a proxy.
        error = BadRequest("Transfer-Encoding does not go with Content-Length or HTTP/1.0", code="ambiguous_length")
    else:
        return None

    async def refuse(taken: Taken) -> None:
        wire = DoorWire(taken.stream)
        await wire.send_last(format_error(error, close=True), REFUSE_S)
        await wire.linger(REFUSE_S, LINGER_BYTES)

    return refuse
