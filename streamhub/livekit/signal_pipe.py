"""LiveKit's signalling on our port: ``/rtc`` and below, piped byte for byte to livekit-server.

Only what LiveKit's clients use gets through. The client's bytes after its request are forwarded only once
livekit-server has agreed to switch protocols: whoever could send a second HTTP request down the same pipe would reach
``/twirp`` and ``/whip/v1``. Answers pass as they are, a 404 too: newer clients try newer paths first and fall back.
"""

from __future__ import annotations

import re
import ssl
from typing import Any
from urllib.parse import urlsplit

import attrs
import h11
import trio

from streamhub.errors import BadRequest, MethodNotAllowed, NotFound, StreamHubError, Unavailable
from streamhub.livekit.server import LiveKit
from streamhub.livekit.session import connect
from streamhub.net.connection import DoorWire, Taken
from streamhub.net.peers import Header
from streamhub.observe.log import get_logger
from streamhub.wire.http import format_error

PREFIX = "/rtc"
CONNECT_S = 5.0
# Joining may wait for the room to be made; LiveKit answers a wrong token after three seconds.
ANSWER_S = 20.0
# A peer that takes nothing for so long has stalled; LiveKit itself pings every few seconds.
SEND_S = 20.0
# When one side has said its last, the other may finish.
HALF_CLOSED_S = 5.0
REFUSE_S = 5.0
CHUNK_BYTES = 65536
METHODS = ("GET", "HEAD", "OPTIONS")
_PATH = re.compile(rb"/rtc(/[A-Za-z0-9_-]+)*/?")
# Hop by hop (RFC 9110 §7.6.1), said anew by us, or none of LiveKit's business. LiveKit believes CF-Connecting-IP first.
_DROPPED = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization te trailer transfer-encoding upgrade content-length"
    b" host cookie forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-real-ip"
    b" cf-connecting-ip".split()
)
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError, ssl.SSLError)

Client = trio.SocketStream | trio.SSLStream[trio.SocketStream]
log = get_logger("signal")


def is_signal_path(path: str) -> bool:
    """Whether a path (no query) is LiveKit's signalling."""
    return path == PREFIX or path.startswith(PREFIX + "/")


@attrs.frozen(eq=False)
class SignalDoor:
    """Takes requests for ``/rtc`` and below, WebSocket upgrades and others."""

    livekit: LiveKit

    async def __call__(self, taken: Taken) -> None:
        """Serve one request; the connection is the client's again only after a whole answer that keeps it."""
        upstream: Client | None = None
        try:
            _check(taken)
            url = self.livekit.require()
            upstream = await self._open(url)
            http, answer = await _ask(taken, upstream, url)
        except StreamHubError as exc:
            if upstream is not None:
                await trio.aclose_forcefully(upstream)
            await _refuse(taken, exc)
            return
        except BaseException:
            if upstream is not None:
                await trio.aclose_forcefully(upstream)
            raise
        try:
            await _answer(taken, upstream, http, answer)
        except _GONE:
            pass  # one of the two is gone, and with it the conversation
        except trio.TooSlowError:
            log.info("a signalling connection stalled", client=taken.peer.ip)
        finally:
            await trio.aclose_forcefully(upstream)

    async def _open(self, url: str) -> Client:
        try:
            with trio.fail_after(CONNECT_S):
                return await connect(url, self.livekit.session.tls)
        except (trio.TooSlowError, *_GONE) as exc:
            log.warning("livekit-server cannot be reached", error=str(exc) or type(exc).__name__)
            raise Unavailable("livekit-server cannot be reached", code="livekit_unreachable", retry_after_s=2) from None


def _check(taken: Taken) -> None:
    if taken.method not in METHODS:
        raise MethodNotAllowed(f"{taken.method} is not possible here", hint="Use GET.")
    if taken.has_body:
        raise BadRequest("a request to LiveKit's signalling has no body")
    # '..' or an escaped slash could mean another path to whoever forwards it next.
    if not _PATH.fullmatch(taken.target.partition(b"?")[0]):
        raise NotFound("no such path", hint="LiveKit's signalling is /rtc and /rtc/….")


async def _ask(taken: Taken, upstream: Client, url: str) -> tuple[h11.Connection, bytes]:
    """Send the request; return the parser and the raw answer so far, a head at least. Raises Unavailable."""
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=CHUNK_BYTES)
    raw = bytearray()
    try:
        with trio.fail_after(ANSWER_S):
            request = h11.Request(method=taken.method, target=taken.target, headers=_headers(taken, url))
            await upstream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
            while b"\r\n\r\n" not in raw:
                data = bytes(await upstream.receive_some(CHUNK_BYTES))
                raw += data
                if not data or len(raw) > CHUNK_BYTES:
                    raise OSError("no answer")
    except (trio.TooSlowError, *_GONE):
        raise Unavailable("livekit-server gave no answer", code="livekit_unreachable", retry_after_s=2) from None
    return http, bytes(raw)


def _headers(taken: Taken, url: str) -> list[Header]:
    options = b",".join(v for k, v in taken.headers if k == b"connection").lower().split(b",")
    dropped = _DROPPED | {option.strip() for option in options}
    upgrade = taken.header(b"upgrade") is not None and b"upgrade" in dropped
    kept = [(k, v) for k, v in taken.headers if k not in dropped]
    hop = [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")] if upgrade else [(b"Connection", b"close")]
    peer = taken.peer
    return [
        (b"Host", urlsplit(url).netloc.encode("ascii")),
        *hop,
        (b"X-Forwarded-For", peer.ip.encode("latin-1")),
        (b"X-Forwarded-Proto", peer.base.scheme.encode("ascii")),
        (b"X-Forwarded-Host", peer.base.host.encode("latin-1")),
        *kept,
    ]


async def _answer(taken: Taken, upstream: Client, http: h11.Connection, raw: bytes) -> None:
    """Pass the answer on, to its end or, after a switch of protocols, to the end of the conversation."""
    while True:
        try:
            http.receive_data(raw)
            ended = _read_events(http)
        except h11.RemoteProtocolError as exc:
            log.warning("livekit-server's answer makes no sense", error=str(exc))
            return
        beyond = 0 if ended is h11.SWITCHED_PROTOCOL else len(http.trailing_data[0]) if ended else 0
        with trio.fail_after(SEND_S):
            await taken.stream.send_all(raw[: len(raw) - beyond])
        if ended is h11.SWITCHED_PROTOCOL:
            await _converse(taken, upstream)
            return
        if ended:
            # The client reads the same answer: it knows whether the connection goes on.
            taken.answered = taken.keeps_alive and ended is h11.DONE
            return
        with trio.fail_after(SEND_S):
            raw = bytes(await upstream.receive_some(CHUNK_BYTES))
            # b"" tells the parser of the end: right for an answer without a length, an error within another.


def _read_events(http: h11.Connection) -> Any:
    """How the answer ended with what has come (SWITCHED_PROTOCOL, DONE, MUST_CLOSE); None: not yet."""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            return None
        if event is h11.PAUSED or isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return http.their_state


async def _converse(taken: Taken, upstream: Client) -> None:
    """Both directions until both have ended, or one fails."""
    if taken.rest:
        with trio.fail_after(SEND_S):
            await upstream.send_all(taken.rest)
    async with trio.open_nursery() as nursery:
        ended = 0

        async def pump(source: Client, sink: Client) -> None:
            nonlocal ended
            if not await _pump(source, sink):
                nursery.cancel_scope.cancel()
            ended += 1
            # The other direction may finish what it is saying.
            nursery.cancel_scope.deadline = trio.current_time() + (HALF_CLOSED_S if ended == 1 else 0.0)

        nursery.start_soon(pump, taken.stream, upstream)
        nursery.start_soon(pump, upstream, taken.stream)


async def _pump(source: Client, sink: Client) -> bool:
    """Everything from ``source`` to ``sink``, its end too if it can be told; whether it went well."""
    try:
        while data := bytes(await source.receive_some(CHUNK_BYTES)):
            with trio.fail_after(SEND_S):
                await sink.send_all(data)
        if isinstance(sink, trio.SocketStream):
            await sink.send_eof()
    except _GONE:
        return False
    except trio.TooSlowError:
        log.info("a signalling connection stalled")
        return False
    # TLS has no half-closed connections: there the end of one direction ends both.
    return isinstance(sink, trio.SocketStream)


async def _refuse(taken: Taken, exc: StreamHubError) -> None:
    allow = [("Allow", ", ".join(METHODS))] if isinstance(exc, MethodNotAllowed) else []
    wire = DoorWire(taken.stream)
    await wire.send_last(format_error(exc, allow, head_only=taken.method == "HEAD", close=True), REFUSE_S)
    await wire.linger(1.0, CHUNK_BYTES)
