"""The HTTP proxy through which relay workers reach HTTP and HTTPS sources: every address is judged by the rules.

libav follows redirects and the addresses in playlists by itself; each is another request to this proxy (``CONNECT`` for
https, the whole URI for http, RFC 9112 §3.2), so none is opened unseen. It listens on loopback, for whoever knows the
secret of this start. Not a general proxy: one request a connection, and only GET and HEAD besides ``CONNECT``.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

import attrs
import h11
import trio

from streamhub.errors import StreamHubError
from streamhub.net.addresses import bracketed, split_host
from streamhub.net.connection import DoorWire
from streamhub.net.guard import OutboundDenied, OutboundRules
from streamhub.net.listeners import open_tcp
from streamhub.observe.log import get_logger

MOST_HEAD = 16 * 1024
MOST_CONNECTIONS = 256
HEAD_S = 10.0
CONNECT_S = 8.0
# One address of several may swallow packets.
CONNECT_EACH_S = 4.0
IDLE_S = 60.0
LAST_WORDS_S = 1.0
MOST_REFUSALS = 1000
_CHUNK = 64 * 1024
# Of this hop alone (RFC 9110 §7.6.1).
_HOP = frozenset(
    (b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive", b"te", b"upgrade", b"host")
)
log = get_logger("guard")


class _Refused(Exception):
    """The answer instead of what was asked for; ``reason`` goes into the status line, where libav shows it."""

    def __init__(self, status: int, reason: str, *headers: tuple[str, str]) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


@attrs.frozen
class _Asked:
    """``first`` is what the source gets first: the request, or what came behind the head of a ``CONNECT``."""

    host: str
    port: int
    first: bytes
    tunnel: bool


@attrs.define(eq=False)
class GuardedProxy:
    """``run`` is a task its owner must start; ``url`` works once it has."""

    rules: OutboundRules
    idle_s: float = IDLE_S
    port: int = 0
    _secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(24), repr=False)
    _open: int = 0
    _refusals: dict[str, str] = attrs.field(factory=dict)

    def url(self, label: str) -> str:
        """What a worker is told as its proxy. ``label`` (letters, digits, '_', '-') is by what ``refusal`` knows it."""
        return f"http://{label}:{self._secret}@127.0.0.1:{self.port}"

    def refusal(self, label: str) -> str | None:
        """Why that worker's last request came to nothing, once; None if it did not. libav tells only a status."""
        return self._refusals.pop(label, None)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve on a free port of loopback until cancelled; then every connection is closed."""
        listener, address = open_tcp("127.0.0.1", 0, setting="a free port of 127.0.0.1")
        self.port = address.port
        async with trio.open_nursery() as nursery:
            task_status.started()
            await trio.serve_listeners(self._serve, [listener], handler_nursery=nursery)

    async def _serve(self, stream: trio.SocketStream) -> None:
        self._open += 1
        try:
            async with stream:
                await self._answer(stream)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # either side has gone: libav notices by itself
        finally:
            self._open -= 1

    async def _answer(self, stream: trio.SocketStream) -> None:
        label = None
        try:
            request, rest = await _read_head(stream)
            if self._open > MOST_CONNECTIONS:
                raise _Refused(503, f"more than {MOST_CONNECTIONS} connections at once")
            label = self._authorised(request.headers)
            asked = _target(request, rest)
            source = await self._connect(asked)
        except _Refused as exc:
            if label is not None:
                self._note(label, exc.reason)
            wire = DoorWire(stream)
            await wire.send_last(_format(exc), LAST_WORDS_S)
            await wire.linger(LAST_WORDS_S, 4 * MOST_HEAD)
            return
        async with source:
            if asked.tunnel:
                await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await source.send_all(asked.first)
            await self._pass(source, stream, tunnel=asked.tunnel)

    def _authorised(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The label. libav sends its credentials only after it was asked for them by 407."""
        for name, value in headers:
            if name == b"proxy-authorization" and value[:6].lower() == b"basic ":
                try:
                    label, _, secret = base64.b64decode(value[6:]).decode("ascii").partition(":")
                except ValueError:
                    continue
                if hmac.compare_digest(secret, self._secret):
                    return label
        raise _Refused(407, "Proxy Authentication Required", ("Proxy-Authenticate", 'Basic realm="relay"'))

    async def _connect(self, asked: _Asked) -> trio.SocketStream:
        try:
            addresses = await self.rules.pin(asked.host)
        except OutboundDenied as exc:
            log.info("a relay was refused an address", host=asked.host, port=asked.port, why=exc.message)
            raise _Refused(403, exc.message) from None
        except StreamHubError as exc:
            raise _Refused(502, exc.message) from None
        why = f"no answer within {CONNECT_S:g} s"
        with trio.move_on_after(CONNECT_S):
            for address in addresses:
                try:
                    with trio.fail_after(CONNECT_EACH_S if len(addresses) > 1 else CONNECT_S):
                        return await trio.open_tcp_stream(address, asked.port)
                except trio.TooSlowError:
                    continue
                except OSError as exc:
                    why = _why(exc)
        raise _Refused(502, f"cannot connect to {bracketed(asked.host)}:{asked.port}: {why}")

    async def _pass(self, source: trio.SocketStream, stream: trio.SocketStream, *, tunnel: bool) -> None:
        """Bytes from the source and, in a tunnel, to it; until both have ended, or nothing moved for ``idle_s``.

        Outside a tunnel whatever the worker still says ends it: its next request belongs to another connection.
        """
        with trio.move_on_after(self.idle_s) as scope:
            async with trio.open_nursery() as nursery:
                if tunnel:
                    nursery.start_soon(self._copy, stream, source, scope)
                else:
                    nursery.start_soon(_cancel_at_input, stream, scope)
                await self._copy(source, stream, scope)
                if not tunnel:
                    scope.cancel()

    async def _copy(self, source: trio.SocketStream, to: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            while data := await source.receive_some(_CHUNK):
                scope.deadline = trio.current_time() + self.idle_s
                await to.send_all(data)
                scope.deadline = trio.current_time() + self.idle_s
            await to.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            scope.cancel()

    def _note(self, label: str, reason: str) -> None:
        if len(self._refusals) >= MOST_REFUSALS:
            self._refusals.pop(next(iter(self._refusals)))
        self._refusals[label] = reason


async def _cancel_at_input(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    try:
        await stream.receive_some(1)
    except trio.BrokenResourceError:
        pass
    scope.cancel()


async def _read_head(stream: trio.SocketStream) -> tuple[h11.Request, bytes]:
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
    try:
        with trio.fail_after(HEAD_S):
            while True:
                event = http.next_event()
                if isinstance(event, h11.Request):
                    return event, http.trailing_data[0]
                if event is not h11.NEED_DATA:
                    raise trio.BrokenResourceError
                http.receive_data(bytes(await stream.receive_some(4096)))
    except h11.RemoteProtocolError as exc:
        raise _Refused(exc.error_status_hint, "not a request that this proxy understands") from None
    except trio.TooSlowError:
        raise _Refused(408, "no request came in time") from None


def _target(request: h11.Request, rest: bytes) -> _Asked:
    target = request.target.decode("ascii")
    if request.method == b"CONNECT":
        place = split_host(target)
        if place is None or not place[1]:
            raise _Refused(400, "CONNECT needs host:port")
        return _Asked(place[0], place[1], rest, tunnel=True)
    if request.method not in (b"GET", b"HEAD"):
        raise _Refused(405, "this proxy passes GET, HEAD and CONNECT on")
    try:
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        raise _Refused(400, "no URL that can be understood") from None
    if host is None or parts.scheme != "http" or "@" in parts.netloc:
        raise _Refused(400, "expected http://host/path")
    path = target.partition("://")[2][len(parts.netloc) :].partition("#")[0]
    if not path.startswith("/"):
        path = f"/{path}"
    lines = [request.method + b" " + path.encode("ascii") + b" HTTP/1.1", b"Host: " + parts.netloc.encode("ascii")]
    lines += [name + b": " + value for name, value in request.headers if name not in _HOP]
    return _Asked(host, port, b"\r\n".join([*lines, b"Connection: close", b"", b""]), tunnel=False)


def _why(exc: OSError) -> str:
    """What the system said, of Trio's error about all attempts."""
    causes = exc.__cause__.exceptions if isinstance(exc.__cause__, ExceptionGroup) else (exc.__cause__ or exc,)
    number = next((e.errno for e in causes if isinstance(e, OSError) and e.errno), None)
    return os.strerror(number).lower() if number else str(exc)


def _format(refused: _Refused) -> bytes:
    body = f"{refused.reason}\n".encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        *refused.headers,
    ]
    lines = [f"HTTP/1.1 {refused.status} {refused.reason}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + body
