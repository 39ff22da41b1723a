"""The HTTP client that livekit-api gets as its ``session``: h11 on Trio, one connection a call.

Stands for the four things livekit-api uses of an aiohttp session: ``post``, ``get``, ``timeout.total`` and ``close``.
Our own errors pass through livekit-api as they are, so nothing of aiohttp is needed here.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import attrs
import h11
import trio

from streamhub.errors import Unavailable

DEADLINE_S = 10.0
MOST_BYTES = 8 * 1024 * 1024


@attrs.frozen
class Timeout:
    """Seconds for a whole call, under the name livekit-api reads."""

    total: float | None = DEADLINE_S


@attrs.frozen
class Reply:
    """An answer read to its end; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)

    async def read(self) -> bytes:
        """The body."""
        return self.body

    async def json(self) -> Any:
        """The body as JSON; ValueError if it is not."""
        return json.loads(self.body)


@attrs.frozen
class Session:
    """Calls with a deadline. Every failure to get an answer is Unavailable; an answer of any status is a Reply."""

    timeout: Timeout = attrs.field(factory=Timeout)
    tls: ssl.SSLContext | None = None

    def post(
        self, url: str, *, headers: Mapping[str, str] | None = None, data: bytes = b"", timeout: Any = None
    ) -> AbstractAsyncContextManager[Reply]:
        """POST ``data``."""
        return self._calling("POST", url, headers or {}, data, timeout)

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout: Any = None
    ) -> AbstractAsyncContextManager[Reply]:
        """GET."""
        return self._calling("GET", url, headers or {}, b"", timeout)

    async def close(self) -> None:
        """Nothing stays open between calls."""

    @asynccontextmanager
    async def _calling(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes, timeout: Any
    ) -> AsyncIterator[Reply]:
        seconds = (timeout.total if timeout is not None else None) or self.timeout.total or DEADLINE_S
        yield await self.request(method, url, headers, data, seconds)

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], data: bytes = b"", within_s: float = DEADLINE_S
    ) -> Reply:
        """One exchange on a connection of its own. Raises Unavailable without an answer in time."""
        try:
            with trio.fail_after(within_s):
                return await self._exchange(method, url, headers, data)
        except trio.TooSlowError:
            raise Unavailable(f"livekit-server gave no answer for {within_s:g} s", code="livekit_too_slow") from None
        except (OSError, ssl.SSLError, trio.BrokenResourceError, h11.RemoteProtocolError) as exc:
            raise Unavailable(
                f"livekit-server cannot be reached: {_reason(exc)}",
                code="livekit_unreachable",
                hint="Look at 'livekit' in /api/v1/health?verbose=1, or into the server's log.",
            ) from None

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> Reply:
        stream = await connect(url, self.tls)
        parts = urlsplit(url)
        async with stream:
            http = h11.Connection(h11.CLIENT, max_incomplete_event_size=65536)
            lines = [("Host", parts.netloc), ("Connection", "close"), ("Content-Length", str(len(data)))]
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            head = http.send(h11.Request(method=method, target=target, headers=[*lines, *headers.items()]))
            body = http.send(h11.Data(data=data)) if data else b""
            await stream.send_all((head or b"") + (body or b"") + (http.send(h11.EndOfMessage()) or b""))
            return await _read(http, stream)


async def _read(http: h11.Connection, stream: trio.abc.Stream) -> Reply:
    answer: h11.Response | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(65536)))
        elif isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_BYTES:
                raise OSError("its answer is too large")
        elif isinstance(event, h11.EndOfMessage):
            assert answer is not None
            headers: dict[str, str] = {}
            for name, value in answer.headers:  # several of one name are one list (RFC 9110 §5.2): Link, for one
                key, text = name.decode("latin-1"), value.decode("latin-1")
                headers[key] = f"{headers[key]}, {text}" if key in headers else text
            return Reply(answer.status_code, headers, bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            raise OSError("it closed the connection")


async def connect(url: str, tls: ssl.SSLContext | None = None) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    """A connection to the server of ``url`` (http, https, ws, wss), TLS checked. Raises OSError or SSLError.

    The caller gives the deadline and closes it.
    """
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    stream = await trio.open_tcp_stream(parts.hostname or "", parts.port or (443 if secure else 80))
    if not secure:
        return stream
    wrapped = trio.SSLStream(
        stream, tls or ssl.create_default_context(), server_hostname=parts.hostname, https_compatible=True
    )
    try:
        await wrapped.do_handshake()
    except BaseException as exc:
        await trio.aclose_forcefully(stream)
        if isinstance(exc, trio.BrokenResourceError) and isinstance(exc.__cause__, ssl.SSLError):
            raise exc.__cause__ from None
        raise
    return wrapped


def _reason(exc: Exception) -> str:
    if isinstance(exc, OSError) and exc.__cause__ is not None:  # trio's summary of several tries
        causes = exc.__cause__.exceptions if isinstance(exc.__cause__, BaseExceptionGroup) else [exc.__cause__]
        exc = next((c for c in causes if isinstance(c, OSError)), exc)
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__
