"""An IPv4 address is judged the same in every IPv6 form that reaches it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from streamhub.net.guard import PRIVATE, OutboundRules

SPECIAL = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24"),
    *("192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "169.254.169.254/32"),
)
V4 = st.ip_addresses(v=4) | st.sampled_from(SPECIAL).flatmap(lambda net: st.ip_addresses(network=net))
ALLOWED = st.lists(st.sampled_from([*SPECIAL, *map(str, PRIVATE)]).map(ip_network), max_size=4)


def forms(inner: IPv4Address) -> dict[str, IPv6Address]:
    number = int(inner)
    return {
        "mapped": IPv6Address(0xFFFF << 32 | number),
        "compatible": IPv6Address(number),
        "NAT64": IPv6Address(0x64FF9B << 96 | number),
        "6to4": IPv6Address(0x2002 << 112 | number << 80 | 1),
        "Teredo client": IPv6Address(0x20010000 << 96 | int(IPv4Address("8.8.8.8")) << 64 | (number ^ 0xFFFFFFFF)),
        "Teredo server": IPv6Address(0x20010000 << 96 | number << 64 | (int(IPv4Address("8.8.8.8")) ^ 0xFFFFFFFF)),
    }


@given(V4, ALLOWED)
def test_refusal_in_every_form_then_as_of_the_address_inside(inner: IPv4Address, allow: list[object]) -> None:
    rules = OutboundRules(allow)  # type: ignore[arg-type]
    expected = rules.refusal(str(inner)) is None
    found = {name: rules.refusal(str(form)) is None for name, form in forms(inner).items() if int(form) > 1}
    assert found == dict.fromkeys(found, expected), inner


@given(st.ip_addresses())
def test_refusal_when_everything_is_listed_then_only_metadata(address: IPv4Address | IPv6Address) -> None:
    everything = OutboundRules([ip_network("0.0.0.0/0"), ip_network("::/0")])
    assert everything.refusal(str(address)) in (None, "a cloud's metadata service")


@given(st.ip_addresses())
def test_refusal_of_what_python_takes_for_loopback_or_link_local_then_never_none(
    address: IPv4Address | IPv6Address,
) -> None:
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert OutboundRules().refusal(str(address))
