"""Which addresses the server may open on somebody's behalf (pulls, callbacks), so that nobody reaches others by it.

A host is resolved once, every address is judged, and the caller connects to the addresses returned: what the name says
a moment later changes nothing. Public addresses are allowed, all others only if STREAMHUB_OUTBOUND_ALLOW lists them.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

import attrs
import trio

from streamhub.errors import BadRequest, Unavailable

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
# The addresses of a host name, as texts. Raises OSError.
Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]

SETTING = "STREAMHUB_OUTBOUND_ALLOW"
RESOLVE_S = 5.0
PRIVATE: tuple[Network, ...] = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))

# The clouds' own addresses for virtual machines: credentials for whoever asks. Listing a network that holds one is not
# meant for it, so each must be listed by itself.
_METADATA = frozenset(
    map(
        ip_address,
        (
            *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
            *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
        ),
    )
)
# Not the public internet, by the IANA registries of special-purpose addresses (RFC 6890 and its successors).
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("127.0.0.0/8", "this machine itself (loopback)"),
        ("::1/128", "this machine itself (loopback)"),
        ("0.0.0.0/8", "no address of a host"),
        ("::/128", "no address of a host"),
        ("10.0.0.0/8", "a private address"),
        ("172.16.0.0/12", "a private address"),
        ("192.168.0.0/16", "a private address"),
        ("fc00::/7", "a private address"),
        ("169.254.0.0/16", "a link-local address"),
        ("fe80::/10", "a link-local address"),
        ("100.64.0.0/10", "an address shared behind a carrier's NAT or in a VPN"),
        ("224.0.0.0/4", "a multicast address"),
        ("ff00::/8", "a multicast address"),
        ("64:ff9b:1::/48", "a network's own translation to IPv4 (NAT64)"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a reserved address"),
        ("192.88.99.0/24", "a reserved address"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("240.0.0.0/4", "a reserved address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a reserved address"),
        ("3fff::/20", "a reserved address"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all that is given out
_COMPATIBLE, _NAT64 = IPv6Network("::/96"), IPv6Network("64:ff9b::/96")


class OutboundDenied(BadRequest):
    """That address may not be opened; the message says which and why."""

    code = "outbound_denied"
    hint = f"Use an address of your network or of the internet, or have it listed in {SETTING}."


class HostUnknown(Unavailable):
    """The name has no address now."""

    code = "host_unknown"
    hint = "Check its spelling, and that this machine can resolve names."


async def resolve_in_thread(host: str) -> list[str]:
    """The addresses of a name or of an address's text, each once. Raises OSError."""
    found = await trio.to_thread.run_sync(_look_up, host, abandon_on_cancel=True, limiter=_LOOK_UPS)
    return list(dict.fromkeys(found))


# A name server that is away holds a thread for half a minute: not one of those that the database needs.
_LOOK_UPS = trio.CapacityLimiter(20)


def _look_up(host: str) -> list[str]:
    found = []
    for *_, sockaddr in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        scope = sockaddr[3] if len(sockaddr) == 4 else 0
        found.append(f"{sockaddr[0]}%{scope}" if scope and "%" not in str(sockaddr[0]) else str(sockaddr[0]))
    return found


@attrs.frozen
class OutboundRules:
    """``allow`` are the networks beyond the public internet that may be reached."""

    allow: Sequence[Network] = PRIVATE
    resolve: Resolve = resolve_in_thread

    async def pin(self, host: str) -> tuple[str, ...]:
        """The addresses of ``host`` that may be opened, best first. Raises OutboundDenied if none may, HostUnknown."""
        found = [host] if _is_address(host) else await self._resolved(host)
        if not found:
            raise HostUnknown(f"the name '{host}' has no address")
        refused = {address: self.refusal(address) for address in found}
        allowed = tuple(address for address, why in refused.items() if why is None)
        if not allowed:
            address, why = next(iter(refused.items()))
            shown = address if address == host else f"'{host}' is {address}, and that"
            raise OutboundDenied(f"{shown} is {why}: {SETTING} does not allow it")
        return allowed

    async def _resolved(self, host: str) -> Sequence[str]:
        try:
            with trio.fail_after(RESOLVE_S):
                return await self.resolve(host)
        except trio.TooSlowError:
            raise HostUnknown(f"the name '{host}' could not be resolved within {RESOLVE_S:g} s") from None
        except (OSError, ValueError):  # also a name that no encoding takes
            return ()

    def refusal(self, address: str) -> str | None:
        """What kind of address this is that may not be opened; None if it may."""
        outer = ip_address(address.partition("%")[0])
        forms = (outer, *_inside(outer))
        for metadata in _METADATA.intersection(forms):
            if not any(net.num_addresses == 1 and metadata in net for net in self.allow):
                return "a cloud's metadata service"
        if self._allows(outer):
            return None
        for one in forms[1:] or forms:
            if not self._allows(one) and (what := _special(one)) is not None:
                return what
        return None

    def _allows(self, address: Address) -> bool:
        return any(address in net for net in self.allow)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _special(address: Address) -> str | None:
    for network, what in _SPECIAL:
        if address in network:
            return what
    return "a reserved address" if address.version == 6 and address not in _GLOBAL_V6 else None


def _inside(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 one stands for: it is judged by them."""
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo  # its server and its client
    if address in _COMPATIBLE or address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()
