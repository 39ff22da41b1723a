"""Opening the places we listen on, with errors that name the fix."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path

import attrs
import trio

from streamhub.errors import ConfigError
from streamhub.net.addresses import bracketed

# A thousand cameras may come at once after a power cut.
BACKLOG = 4096


@attrs.frozen
class Address:
    """Where a listener really listens: ``host``/``port``, or the ``path`` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{bracketed(self.host)}:{self.port}"


def open_tcp(host: str, port: int, *, setting: str) -> tuple[trio.SocketListener, Address]:
    """A listener on one address (0 = a free port). Raises ConfigError that names ``setting``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as exc:
        raise ConfigError(f"cannot listen on {host}:{port}: {exc.strerror}", hint=f"Correct {setting}.") from None
    family, kind, proto, _, address = found[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as exc:
        sock.close()
        raise ConfigError(f"cannot listen on {bracketed(host)}:{port}: {_why(exc)}", hint=_fix(exc, setting)) from None
    name = sock.getsockname()
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock)), Address(host=name[0], port=name[1])


def open_unix(path: str, *, setting: str) -> tuple[trio.SocketListener, Address]:
    """A listener on a Unix socket; a dead one's file is replaced, a live one's or any other file is not."""
    try:
        if Path(path).is_socket() and not _answers(path):
            remove_socket_file(path)
    except OSError as exc:
        raise ConfigError(f"cannot listen on unix:{path}: {exc.strerror}", hint=f"Correct {setting}.") from None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        # As with a loopback port, every user of this machine may connect; its folder can be closed to them.
        Path(path).chmod(0o666)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as exc:
        sock.close()
        raise ConfigError(f"cannot listen on unix:{path}: {_why(exc)}", hint=_fix(exc, setting)) from None
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock)), Address(path=path)


def remove_socket_file(path: str) -> None:
    """The file of a Unix socket is gone."""
    Path(path).unlink(missing_ok=True)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _why(exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return "the address is in use"
    if exc.errno == errno.EACCES:
        return "permission denied"
    return exc.strerror or str(exc)


def _fix(exc: OSError, setting: str) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"Another program (another StreamHub?) has it: stop that, or set {setting} to another port."
    if exc.errno == errno.EACCES:
        return f"Ports below 1024 need root: set {setting} to a higher one and put a proxy in front."
    return f"Set {setting} to an address of this machine."


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """The server's TLS, or None without a certificate. Raises ConfigError for files that do not fit."""
    if cert is None or key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"cannot use tls_cert and tls_key: {exc}",
            hint="Give a PEM certificate chain and the key that belongs to it.",
        ) from None
    return context
