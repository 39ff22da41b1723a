"""Whom this process is connected to. libav follows an RTSP redirection to any host, and cannot be told not to."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path


def connected_addresses() -> set[IPv4Address | IPv6Address]:
    """The other ends of this process's TCP connections, those being made among them (proc(5), /proc/net/tcp)."""
    sockets = set()
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            target = str(fd.readlink())
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    found: set[IPv4Address | IPv6Address] = set()
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[9] in sockets:
                    found.add(_parse(fields[2].partition(":")[0]))
    return found


def _parse(text: str) -> IPv4Address | IPv6Address:
    """Words of the machine's (little endian) order, as the kernel prints them."""
    raw = bytes.fromhex(text)
    words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    address = ip_address(words)
    return getattr(address, "ipv4_mapped", None) or address


def strangers(host: str) -> bool:
    """Whether this process is connected to anybody but ``host``, an address; False if it is a name."""
    try:
        wanted = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return any(address != wanted for address in connected_addresses())
