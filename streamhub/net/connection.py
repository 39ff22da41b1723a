"""One client connection: what Hypercorn reads and writes through, and what a door gets when it takes over."""

from __future__ import annotations

import os
import socket as stdlib_socket
from collections.abc import Callable, Set
from contextlib import suppress
from typing import Any

import attrs
import trio

from streamhub.net.peers import Header, Peer
from streamhub.net.shared_reader import SharedReader

# A peer that acknowledges nothing for this long is dead, whatever is still to be sent.
USER_TIMEOUT_MS = 30_000
READ_BYTES = 65536
_SHARED = memoryview(bytearray(READ_BYTES))
_SHARED_ONLY = (_SHARED,)


class _Guard(trio.abc.Stream):
    """A connection as Hypercorn sees it: bytes read before come first, and every write has a deadline.

    Hypercorn shields its sends from cancellation; without the deadline one stalled client would outlive shutdown.
    """

    inner: trio.abc.Stream

    def __init__(self, prefix: bytes, write_timeout_s: float) -> None:
        self._prefix = prefix
        self._write_timeout_s = write_timeout_s

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._prefix:
            data, self._prefix = self._prefix, b""
            await trio.lowlevel.checkpoint()
            return data
        return bytes(await self.inner.receive_some(max_bytes))

    def send_at_once(self, data: bytes) -> int:
        """Send what the kernel takes now, while nobody else is sending; how much that is.

        0 for a peer that is gone, and over TLS, whose bytes are not the kernel's.
        """
        return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(self._write_timeout_s) as scope:
            await self.inner.send_all(data)
        if scope.cancelled_caught:
            await trio.aclose_forcefully(self.inner)
            raise trio.BrokenResourceError("write timed out")

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.inner.aclose()


class Guarded(_Guard, trio.abc.HalfCloseableStream):
    """A guarded plain connection."""

    def __init__(self, stream: trio.SocketStream, prefix: bytes, write_timeout_s: float) -> None:
        super().__init__(prefix, write_timeout_s)
        self.inner: trio.SocketStream = stream
        self.socket: Any = stream.socket

    def send_at_once(self, data: bytes) -> int:
        return _write_now(self.inner.socket, data)

    async def send_eof(self) -> None:
        await self.inner.send_eof()


class GuardedTLS(_Guard):
    """The same over TLS. Hypercorn tells TLS by these three names; only the handshake makes the protocol known."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], prefix: bytes, write_timeout_s: float) -> None:
        super().__init__(prefix, write_timeout_s)
        self.inner: trio.SSLStream[trio.SocketStream] = stream
        self.transport_stream = stream.transport_stream

    async def do_handshake(self) -> None:
        await self.inner.do_handshake()

    def selected_alpn_protocol(self) -> str:
        return "http/1.1"  # the only one we offer


@attrs.define(eq=False)
class Taken:
    """A request whose connection belongs to a door now.

    ``path`` is percent-decoded, ``target`` is not; ``rest`` are bytes read beyond the request's head. The front closes
    ``stream`` when the door returns, unless the door set ``answered`` (a whole answer was sent: the connection serves
    further requests) or ``handed_over`` (somebody else closes it now).
    """

    method: str
    path: str
    query: dict[str, str]
    headers: list[Header]
    target: bytes
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]
    rest: bytes
    peer: Peer
    http_version: bytes = b"1.1"
    answered: bool = False
    handed_over: bool = False

    def again(self) -> Taken:
        """The same request, come again on the same connection."""
        return self.asking_for(self.target, self.path, self.query)

    def asking_for(self, target: bytes, path: str, query: dict[str, str]) -> Taken:
        """A request on the same connection that differs in its target alone."""
        return Taken(self.method, path, query, self.headers, target, self.stream, b"", self.peer, self.http_version)

    def header(self, name: bytes) -> str | None:
        """The first value of a header; ``name`` in lower case."""
        for known, value in self.headers:
            if known == name:
                return value.decode("latin-1")
        return None

    def has_any(self, names: Set[bytes]) -> bool:
        """Whether it has one of these headers; ``names`` in lower case."""
        return any(name in names for name, _ in self.headers)

    @property
    def has_body(self) -> bool:
        """Whether the request announced a body; no door reads one."""
        return self.header(b"content-length") not in (None, "0") or self.header(b"transfer-encoding") is not None

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow: HTTP/1.1, no body on this one, and no ``Connection: close``."""
        if self.http_version != b"1.1" or self.has_body:
            return False
        options = b",".join(v for k, v in self.headers if k == b"connection").lower().split(b",")
        return b"close" not in [option.strip() for option in options]


class DoorWire:
    """A taken-over connection as viewers use it (``rooms.viewer.Wire``).

    ``shared``: another process has the socket too, and ``close`` ends it for both. ``expected``: see ``expect``.
    """

    __slots__ = ("_socket", "_stream", "expected", "fd", "shared")

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        self.fd = self._socket.fileno() if self._socket is not None else -1
        self.shared = False
        self.expected = 0

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send everything; on cancellation the connection is of no more use."""
        await self._stream.send_all(data)

    def send_some(self, data: bytes) -> int:
        """Send what the kernel takes at once; how much that is, and 0 where it may not be done or the peer is gone."""
        return _write_now(self._socket, data) if self._socket is not None else 0

    async def wait_readable(self) -> None:
        """Return when the peer has sent something or left. Plain connections only."""
        assert self._socket is not None
        await trio.lowlevel.wait_readable(self._socket)

    async def wait_writable(self) -> None:
        """Return when the kernel would take more bytes, or the peer is gone."""
        await self._stream.wait_send_all_might_not_block()

    async def receive(self, most: int = 4096) -> bytes:
        """Some bytes from the peer; b"" at its end."""
        return bytes(await self._stream.receive_some(most))

    async def receive_shared(self) -> bytes | memoryview:
        """As ``receive``, many bytes; they are good until the caller's next await, for all connections share a buffer.

        Nothing is allocated, and the kernel is asked for bytes only when it has some. Raises OSError for a dead peer.
        """
        sock = self._socket
        if sock is None:
            return await self.receive(READ_BYTES)
        while True:
            await trio.lowlevel.wait_readable(sock)
            try:
                return _SHARED[: os.readv(sock.fileno(), _SHARED_ONLY)]
            except BlockingIOError:
                continue  # what had come was not for us: a checksum was wrong

    def expect(self, count: int) -> None:
        """Ask the kernel not to call for less than ``count`` bytes, or the peer's end; 0: for any. Until ``feed`` ends.

        A picture that comes in a dozen segments then takes two reads (SO_RCVLOWAT, socket(7)).
        """
        self.expected = count
        if self._socket is not None:
            with suppress(OSError):  # closed meanwhile
                self._socket.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_RCVLOWAT, min(count, READ_BYTES))

    async def feed(
        self,
        reader: SharedReader,
        take: Callable[[bytes | memoryview], bool],
        then: Callable[[], bool] = lambda: True,
    ) -> None:
        """Give ``take`` what the peer sends, b"" at its end or if it is dead, until it or ``then`` returns False.

        What it is given is good until it returns. ``then`` follows each of its calls (``SharedReader.read``).
        """
        if (sock := self._socket) is None:
            goes_on = True
            while goes_on:
                data = await self._receive_or_end()
                reader.look()
                goes_on = take(data)
                goes_on = then() and goes_on
            return

        def read() -> bool:
            try:
                count = os.readv(self.fd, _SHARED_ONLY)
            except BlockingIOError:
                return True  # what had come was not for us: a checksum was wrong
            except OSError:
                count = 0
            return take(_SHARED[:count])

        try:
            await reader.read(sock, read, then)
        except trio.ClosedResourceError:
            take(b"")
        finally:
            if self.expected:
                self.expect(0)

    async def _receive_or_end(self) -> bytes:
        try:
            return await self.receive(READ_BYTES)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def send_last(self, data: bytes, seconds: float) -> None:
        """Send a few last words if they go out within ``seconds``; never raises for a peer that is gone."""
        with trio.move_on_after(seconds, shield=True):
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                pass

    async def close(self) -> None:
        """Close at once, sending nothing more."""
        if self.shared and self._socket is not None:
            with suppress(OSError):  # the peer was first
                self._socket.shutdown(stdlib_socket.SHUT_RDWR)
            # Epoll, which knows the socket by its number here, tells of that once: now, and not when the number is
            # another socket's while this one is still open elsewhere.
            await trio.lowlevel.cancel_shielded_checkpoint()
        await trio.aclose_forcefully(self._stream)

    async def linger(self, seconds: float, most_bytes: int) -> None:
        """Say that we are done and read what still comes, for a while.

        Closing a socket with unread input makes the kernel send a reset, which destroys what we have just sent: a
        camera would never see why it was refused.
        """
        with trio.move_on_after(seconds, shield=True):
            try:
                # Under TLS too: a client that waits for our end would wait for all of ``seconds``.
                raw = self._stream if isinstance(self._stream, trio.SocketStream) else self._stream.transport_stream
                raw.socket.shutdown(stdlib_socket.SHUT_WR)
                while most_bytes > 0:
                    data = await self._stream.receive_some(65536)
                    if not data:
                        return
                    most_bytes -= len(data)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass


def _write_now(sock: trio.socket.SocketType, data: bytes) -> int:
    try:
        return os.write(sock.fileno(), data) if data else 0
    except OSError:
        return 0


def tune(sock: trio.socket.SocketType) -> None:
    """Options of an accepted TCP connection."""
    if sock.family != stdlib_socket.AF_UNIX:
        sock.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_KEEPALIVE, 1)
