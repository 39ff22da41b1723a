"""Which addresses others can reach us by."""

from __future__ import annotations

import ipaddress
import socket


def is_loopback_host(host: str) -> bool:
    """Whether ``host`` (no port, no brackets) only means this machine."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_netloc(netloc: str) -> bool:
    """Whether ``host[:port]``, as in a URL, only means this machine."""
    parts = split_host(netloc)
    return parts is not None and is_loopback_host(parts[0])


def is_any_host(host: str) -> bool:
    """Whether binding to ``host`` binds every address."""
    return host in ("0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound


def lan_address() -> str | None:
    """The address of the interface that leads out, as other machines see us; None without a network.

    Connecting a UDP socket sends nothing: it only asks the routing table.
    """
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                host = str(probe.getsockname()[0])
        except OSError:
            continue
        if not is_loopback_host(host) and not is_any_host(host):
            return host
    return None


def bracketed(host: str) -> str:
    """``host`` as it stands in a URL: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def split_host(value: str) -> tuple[str, int | None] | None:
    """``host[:port]`` of a Host header; None if it is not one."""
    host, port = value, ""
    if value.startswith("["):
        host, bracket, rest = value[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif value.count(":") == 1:
        host, _, port = value.partition(":")
    if not host or not all(c.isascii() and (c.isalnum() or c in ".-_:") for c in host):
        return None
    if port and not (port.isascii() and port.isdigit() and int(port) <= 65535):
        return None
    return host, int(port) if port else None
