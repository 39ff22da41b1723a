"""Which addresses may be opened: by example. tests/properties has the forms an IPv4 address can hide in."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

import pytest
import trio

from streamhub.net.guard import PRIVATE, RESOLVE_S, HostUnknown, OutboundDenied, OutboundRules


def rules(*names: str, found: Sequence[str] = ()) -> OutboundRules:
    async def resolve(_host: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return found

    return OutboundRules([*PRIVATE, *map(ip_network, names)], resolve)


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "192.168.1.20", "10.255.0.1", "172.31.0.9", "fd12::9"),
        # A network that has IPv6 alone reaches IPv4 by these.
        *("64:ff9b::8.8.8.8", "::ffff:192.168.1.20", "2002:808:808::1"),
    ],
)
def test_refusal_of_the_internet_and_of_private_networks_then_none(address: str) -> None:
    assert rules().refusal(address) is None


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "this machine itself"),
        ("127.255.255.254", "this machine itself"),
        ("::1", "this machine itself"),
        ("0.0.0.0", "no address of a host"),
        ("::", "no address of a host"),
        ("169.254.7.7", "link-local"),
        ("fe80::1%2", "link-local"),
        ("169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("100.64.1.1", "VPN"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("2001:db8::1", "reserved"),
        ("5f00::1", "reserved"),
        ("64:ff9b:1::808:808", "NAT64"),
        ("172.32.0.1", ""),
    ],
)
def test_refusal_of_other_addresses_then_it_says_what_they_are(address: str, what: str) -> None:
    why = rules().refusal(address)
    assert (why or "") == what == "" or (what and what in str(why))


def test_refusal_when_a_network_is_listed_then_allowed_but_for_metadata_in_it() -> None:
    listed = rules("169.254.0.0/16", "127.0.0.0/8")
    assert listed.refusal("169.254.1.1") is None
    assert listed.refusal("::ffff:127.0.0.1") is None
    assert listed.refusal("::1") is not None
    assert "metadata" in str(listed.refusal("169.254.169.254"))
    assert rules("169.254.169.254/32").refusal("169.254.169.254") is None
    assert rules("64:ff9b:1::/48").refusal("64:ff9b:1::808:808") is None


async def test_pin_then_only_the_addresses_that_may_be_opened() -> None:
    assert await rules(found=["127.0.0.1", "192.168.1.20", "8.8.8.8"]).pin("cam") == ("192.168.1.20", "8.8.8.8")
    with pytest.raises(OutboundDenied) as caught:
        await rules(found=["169.254.169.254"]).pin("metadata.internal")
    assert "'metadata.internal' is 169.254.169.254" in caught.value.message
    assert "STREAMHUB_OUTBOUND_ALLOW" in caught.value.message
    with pytest.raises(HostUnknown, match="'nowhere' has no address"):
        await rules().pin("nowhere")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "::ffff:7f00:1"])
async def test_pin_of_an_address_in_any_spelling_then_judged_by_what_the_system_makes_of_it(host: str) -> None:
    with trio.fail_after(30), pytest.raises(OutboundDenied, match="this machine itself"):
        await OutboundRules().pin(host)
    assert await rules("127.0.0.0/8", found=["127.0.0.1"]).pin(host) in (("127.0.0.1",), (host,))


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "x\0y", ""])
async def test_pin_of_no_name_then_unknown(host: str) -> None:
    with trio.fail_after(30), pytest.raises((HostUnknown, OutboundDenied)):
        await OutboundRules().pin(host)


async def test_pin_when_the_name_server_is_silent_then_unknown_in_time(autojump_clock: trio.testing.MockClock) -> None:
    async def never(_host: str) -> Sequence[str]:
        await trio.sleep_forever()
        raise AssertionError

    began = trio.current_time()
    with pytest.raises(HostUnknown, match="could not be resolved"):
        await OutboundRules(resolve=never).pin("cam")
    assert trio.current_time() - began == RESOLVE_S
