"""Who is calling, and by which address: trusted proxies' headers, and nobody else's.

``X-Forwarded-For/-Proto/-Host/-Port`` and ``Forwarded`` (RFC 7239) count only when the socket's peer is a trusted
proxy. The client is the rightmost address that is not one: what stands left of it anybody can write.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from streamhub.model.urls import Base
from streamhub.net.addresses import bracketed, is_any_host, is_loopback_host, split_host

Header = tuple[bytes, bytes]


@attrs.frozen
class Peer:
    """The client's address, and the base of every URL in answers to it."""

    ip: str
    base: Base


@attrs.frozen
class Peers:
    """Resolves peers. ``public`` (a setting) wins over what requests say; ``reachable`` replaces loopback hosts.

    ``own`` is our address for requests without a usable Host header.
    """

    trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
    own: Base
    public: Base | None = None
    reachable: str | None = None

    def resolve(self, peer_ip: str | None, headers: Iterable[Header], *, tls: bool) -> Peer:
        """The caller of one request; ``peer_ip`` is None for a Unix socket, whose peers are trusted."""
        found: dict[bytes, list[str]] = {}
        for name, value in headers:
            found.setdefault(name.lower(), []).append(value.decode("latin-1"))
        scheme = "https" if tls else "http"
        host = (found.get(b"host") or [""])[0]
        ip = str(_address(peer_ip or "127.0.0.1") or peer_ip)
        if peer_ip is None or self._trusts(peer_ip):
            # Stock Caddy and nginx write X-Forwarded-*, and pass a client's own Forwarded on: those win.
            hops = _x_forwarded(found) or (_forwarded(found) if b"forwarded" in found else [])
            used = 0
            for hop in reversed(hops):
                used += 1
                if hop.ip is not None:
                    ip = hop.ip
                if hop.ip is None or not self._trusts(hop.ip):
                    break
            # The hop that named the client also saw the scheme and host the client used.
            chosen = hops[len(hops) - used] if used else None
            if chosen is not None:
                scheme = chosen.proto or scheme
                host = chosen.host or host
        return Peer(ip, self.public or self._base(scheme, host))

    def _base(self, scheme: str, host: str) -> Base:
        parts = split_host(host)
        if parts is None:
            return self.own
        if self.reachable and (is_loopback_host(parts[0]) or is_any_host(parts[0])):
            own = split_host(self.own.host)
            port = parts[1] if parts[1] is not None else (own[1] if own else None)
            host = bracketed(self.reachable) + (f":{port}" if port is not None else "")
        return Base(scheme, host)

    def _trusts(self, ip: str) -> bool:
        address = _address(ip)
        return address is not None and any(address in net for net in self.trusted if net.version == address.version)


@attrs.frozen
class _Hop:
    ip: str | None = None
    proto: str | None = None
    host: str | None = None


@functools.lru_cache(maxsize=1024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _ip_of(text: str) -> str | None:
    """The address in ``1.2.3.4``, ``1.2.3.4:5678``, ``[::1]:80`` or ``"[::1]"``; None for anything else."""
    text = text.strip().strip('"')
    if _address(text) is not None:
        return str(_address(text))
    parts = split_host(text)
    address = _address(parts[0]) if parts else None
    return str(address) if address is not None else None


def _split(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _x_forwarded(found: dict[bytes, list[str]]) -> list[_Hop]:
    ips = [_ip_of(part) for part in _split(found.get(b"x-forwarded-for", []))]
    protos = [_proto(p) for p in _split(found.get(b"x-forwarded-proto", []))]
    hosts = _split(found.get(b"x-forwarded-host", []))
    ports = _split(found.get(b"x-forwarded-port", []))
    count = max(len(ips), 1 if protos or hosts else 0)

    def from_right(values: Sequence[str | None], place: int) -> str | None:
        # Proxies differ in whether they append to these lists or replace them: one value stands for all hops.
        if not values:
            return None
        return values[-1 - min(place, len(values) - 1)]

    hops = []
    for index in range(count):
        place = count - 1 - index
        host = from_right(hosts, place)
        port = from_right(ports, place)
        if host and port and port.isdigit() and split_host(host) == (host.strip("[]"), None):
            proto = from_right(protos, place)
            host = host if port == {"http": "80", "https": "443"}.get(proto or "") else f"{host}:{port}"
        hops.append(_Hop(ips[index] if ips else None, from_right(protos, place), host))
    return hops


def _forwarded(found: dict[bytes, list[str]]) -> list[_Hop]:
    hops = []
    for element in _split(found[b"forwarded"]):
        pairs = {}
        for pair in element.split(";"):
            name, _, value = pair.strip().partition("=")
            pairs[name.lower()] = value.strip().strip('"')
        hops.append(_Hop(_ip_of(pairs.get("for", "")), _proto(pairs.get("proto", "")), pairs.get("host") or None))
    return hops


def _proto(text: str) -> str | None:
    word = {"ws": "http", "wss": "https"}.get(text.lower(), text.lower())
    return word if word in ("http", "https") else None


class PeerScope:
    """ASGI middleware: puts the ``Peer`` of each request into its scope as ``streamhub.peer``."""

    def __init__(self, app: Any, peers: Peers) -> None:
        self._app, self._peers = app, peers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            client = scope.get("client")
            tls = scope["scheme"] == "https"
            peer = self._peers.resolve(client[0] if client else None, scope["headers"], tls=tls)
            scope = {**scope, "streamhub.peer": peer, "client": (peer.ip, 0), "scheme": peer.base.scheme}
        await self._app(scope, receive, send)
