"""The way to the server: TCP or TLS, the WebSocket handshake with the key in a header, and an end that cannot hang."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import trio
from trio_websocket import ConnectionRejected, WebSocketConnection, wrap_client_stream

from streamhub.simulator.protocol import printable
from streamhub.simulator.target import Target

CONNECT_S = 10.0
GOODBYE_S = 0.5
# When cancelled, so is the task that would read the answer: only the close frame is handed to the kernel.
CANCELLED_GOODBYE_S = 0.05
# A device needs no large messages from the server.
MOST_MESSAGE_BYTES = 64 * 1024

Dial: TypeAlias = Callable[[Target, bool], Awaitable[trio.abc.Stream]]


class LinkFailed(Exception):
    """No connection, or none any more; the text says why. Trying again may help."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


async def dial(target: Target, insecure: bool) -> trio.abc.Stream:
    """A connected stream. ``insecure`` takes any certificate. Raises LinkFailed; the caller sets the deadline."""
    where = f"{target.host}:{target.port}"
    try:
        plain = await trio.open_tcp_stream(target.host, target.port)
    except OSError as exc:
        raise LinkFailed(f"cannot reach {where}: {_reason(exc)}") from None
    if not target.tls:
        return plain
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    stream = trio.SSLStream(plain, context, server_hostname=target.host, https_compatible=True)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as exc:
        await trio.aclose_forcefully(stream)
        if isinstance(exc.__cause__, ssl.SSLCertVerificationError):
            raise LinkFailed(
                f"the certificate of {where} is not trusted: {exc.__cause__.verify_message}",
                "Give the server a trusted certificate, or accept any with --insecure.",
            ) from None
        raise LinkFailed(f"no TLS with {where}: {exc.__cause__ or exc}") from None
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


@asynccontextmanager
async def open_camera_socket(
    target: Target, key: str, *, insecure: bool = False, dial: Dial = dial
) -> AsyncIterator[WebSocketConnection]:
    """The open WebSocket; closed with 1000 on leaving, or without a word if the peer takes nothing for half a second.

    Raises LinkFailed when there is none within 10 s.
    """
    failed: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            stream, websocket = await _connect(nursery, target, key, insecure, dial)
            goodbye_s = CANCELLED_GOODBYE_S
            try:
                yield websocket
                goodbye_s = GOODBYE_S
            finally:
                with trio.move_on_after(goodbye_s, shield=True):
                    await websocket.aclose()
                await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()
    except* ConnectionRejected as group:
        failed = _rejection(_leaf(group), target)
    except* LinkFailed as group:
        failed = _leaf(group)
    if failed is not None:
        raise failed


async def _connect(
    nursery: trio.Nursery, target: Target, key: str, insecure: bool, dial: Dial
) -> tuple[trio.abc.Stream, WebSocketConnection]:
    try:
        with trio.fail_after(CONNECT_S):
            stream = await dial(target, insecure)
            try:
                websocket = await wrap_client_stream(
                    nursery,
                    stream,  # type: ignore[arg-type]  # any Stream works; the annotation names two
                    target.host_header,
                    target.resource,
                    extra_headers=[(b"Authorization", b"Bearer " + key.encode("ascii"))],
                    max_message_size=MOST_MESSAGE_BYTES,
                )
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
    except trio.TooSlowError:
        raise LinkFailed(f"no answer from {target.host}:{target.port} in {CONNECT_S:g} s") from None
    return stream, websocket


def _leaf(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _rejection(found: BaseException, target: Target) -> LinkFailed:
    assert isinstance(found, ConnectionRejected)
    headers = {name.lower(): value for name, value in found.headers or ()}
    where = f"{target.host_header}{target.path}"
    if location := headers.get(b"location"):
        to = printable(location.decode("latin-1"))
        return LinkFailed(f"{where} sends us elsewhere, to {to} (HTTP {found.status_code})", "Use that address.")
    return LinkFailed(
        f"{where} answered HTTP {found.status_code} instead of opening a WebSocket",
        "Check that StreamHub answers there, and that a proxy in between passes WebSockets on.",
    )


def _reason(exc: OSError) -> str:
    group = exc.__cause__
    if isinstance(group, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(_reason(e) for e in group.exceptions if isinstance(e, OSError)))
    if exc.errno is None or isinstance(exc, socket.gaierror):  # name look-ups have numbers of their own
        return exc.strerror or str(exc)
    return os.strerror(exc.errno)  # without the address that Trio puts into the text
