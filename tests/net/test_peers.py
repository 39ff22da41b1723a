from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.model.urls import Base
from streamhub.net.peers import Peers

TRUSTED = [ipaddress.ip_network(n) for n in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "fd00::/8")]
PEERS = Peers(TRUSTED, Base("http", "own.test:3020"))
PROXY = "10.0.0.1"
HOST = (b"Host", b"cams.test")


def headers(text: str) -> list[tuple[bytes, bytes]]:
    """``Name: value`` lines as a server gives them; a Host before them unless they have one."""
    found = []
    for line in text.split("\n") if text else []:
        name, _, value = line.partition(": ")
        found.append((name.strip().encode(), value.encode("latin-1")))
    return found if any(n.lower() == b"host" for n, _ in found) else [HOST, *found]


@pytest.mark.parametrize(
    ("peer", "sent", "ip", "base"),
    [
        # Nobody in between.
        ("203.0.113.5", "", "203.0.113.5", "http://cams.test"),
        ("203.0.113.5", "Host: cams.test:3020", "203.0.113.5", "http://cams.test:3020"),
        ("2001:db8::5", "Host: [2001:db8::1]:3020", "2001:db8::5", "http://[2001:db8::1]:3020"),
        ("::ffff:203.0.113.5", "", "203.0.113.5", "http://cams.test"),
        # A stranger's headers count for nothing.
        ("203.0.113.5", "X-Forwarded-For: 1.1.1.1", "203.0.113.5", "http://cams.test"),
        ("203.0.113.5", "X-Forwarded-Host: evil.test\nX-Forwarded-Proto: https", "203.0.113.5", "http://cams.test"),
        ("203.0.113.5", "Forwarded: for=1.1.1.1;proto=https;host=evil.test", "203.0.113.5", "http://cams.test"),
        # One trusted proxy.
        (PROXY, "X-Forwarded-For: 203.0.113.5", "203.0.113.5", "http://cams.test"),
        ("::ffff:10.0.0.1", "X-Forwarded-For: 203.0.113.5", "203.0.113.5", "http://cams.test"),
        ("::1", "X-Forwarded-For: 2001:db8::7", "2001:db8::7", "http://cams.test"),
        (PROXY, "X-Forwarded-For: [2001:db8::7]:5555", "2001:db8::7", "http://cams.test"),
        (PROXY, "X-Forwarded-For: 203.0.113.5:5555", "203.0.113.5", "http://cams.test"),
        (PROXY, "X-Forwarded-For: ::ffff:203.0.113.5", "203.0.113.5", "http://cams.test"),
        (PROXY, "", "10.0.0.1", "http://cams.test"),
        # The left part is anybody's.
        (PROXY, "X-Forwarded-For: 1.1.1.1, 203.0.113.5", "203.0.113.5", "http://cams.test"),
        (PROXY, "X-Forwarded-For: 127.0.0.1, 203.0.113.5", "203.0.113.5", "http://cams.test"),
        (PROXY, "X-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 203.0.113.5", "203.0.113.5", "http://cams.test"),
        (PROXY, "X-Forwarded-For: unknown, 203.0.113.5", "203.0.113.5", "http://cams.test"),
        (PROXY, "X-Forwarded-For: 1.1.1.1, unknown", "10.0.0.1", "http://cams.test"),
        (PROXY, "X-Forwarded-For: 1.1.1.1, <script>, 10.0.0.2", "10.0.0.2", "http://cams.test"),
        # Several trusted proxies.
        (PROXY, "X-Forwarded-For: 1.1.1.1, 203.0.113.5, 10.9.9.9, 127.0.0.1", "203.0.113.5", "http://cams.test"),
        (PROXY, "X-Forwarded-For: 10.2.2.2, 10.3.3.3", "10.2.2.2", "http://cams.test"),
        (PROXY, "X-Forwarded-For: , ,", "10.0.0.1", "http://cams.test"),
        # Scheme and host.
        (PROXY, "X-Forwarded-For: 203.0.113.5\nX-Forwarded-Proto: https", "203.0.113.5", "https://cams.test"),
        (PROXY, "X-Forwarded-Proto: wss", "10.0.0.1", "https://cams.test"),
        (PROXY, "X-Forwarded-Proto: gopher", "10.0.0.1", "http://cams.test"),
        (PROXY, "X-Forwarded-For: 203.0.113.5\nX-Forwarded-Host: pub.test:8443", "203.0.113.5", "http://pub.test:8443"),
        (PROXY, "X-Forwarded-Host: pub.test\nX-Forwarded-Port: 8443", "10.0.0.1", "http://pub.test:8443"),
        (
            PROXY,
            "X-Forwarded-Proto: https\nX-Forwarded-Host: pub.test\nX-Forwarded-Port: 443",
            PROXY,
            "https://pub.test",
        ),
        (PROXY, "X-Forwarded-Proto: http\nX-Forwarded-Host: pub.test\nX-Forwarded-Port: 80", PROXY, "http://pub.test"),
        (PROXY, "X-Forwarded-Host: pub.test:1\nX-Forwarded-Port: 2", PROXY, "http://pub.test:1"),
        (PROXY, "X-Forwarded-Host: pub.test\nX-Forwarded-Port: x", PROXY, "http://pub.test"),
        (PROXY, "X-Forwarded-Host: [2001:db8::1]\nX-Forwarded-Port: 81", PROXY, "http://[2001:db8::1]:81"),
        (PROXY, 'X-Forwarded-Host: a"><script>', PROXY, "http://own.test:3020"),
        # The host that the hop saw which named the client, not one a client wrote further left.
        (
            PROXY,
            "X-Forwarded-For: 1.1.1.1, 203.0.113.5\nX-Forwarded-Host: e.test, pub.test\nX-Forwarded-Proto: http, https",
            "203.0.113.5",
            "https://pub.test",
        ),
        (
            PROXY,
            "X-Forwarded-For: 203.0.113.5, 10.0.0.2\nX-Forwarded-Host: pub.test, inner.test",
            "203.0.113.5",
            "http://pub.test",
        ),
        # RFC 7239.
        (PROXY, 'Forwarded: for="[2001:db8::7]:47011";proto=https;host=pub.test', "2001:db8::7", "https://pub.test"),
        (
            PROXY,
            "Forwarded: for=1.1.1.1;host=evil.test, For=203.0.113.5;Proto=HTTPS",
            "203.0.113.5",
            "https://cams.test",
        ),
        (PROXY, "Forwarded: for=_hidden", "10.0.0.1", "http://cams.test"),
        (PROXY, 'Forwarded: for="1.1.1.1, for=203.0.113.5', "203.0.113.5", "http://cams.test"),
        (PROXY, "Forwarded: nonsense", "10.0.0.1", "http://cams.test"),
        # A proxy that speaks one form passes the client's own other form on: X-Forwarded-* wins.
        (
            PROXY,
            "X-Forwarded-For: 203.0.113.5\nForwarded: for=1.1.1.1;host=evil.test",
            "203.0.113.5",
            "http://cams.test",
        ),
        # Odd hosts.
        ("203.0.113.5", "Host: a b", "203.0.113.5", "http://own.test:3020"),
        ("203.0.113.5", "Host: cams.test:99999", "203.0.113.5", "http://own.test:3020"),
        ("203.0.113.5", "Host: ", "203.0.113.5", "http://own.test:3020"),
        # A Unix socket's peer is a proxy of ours.
        (None, "X-Forwarded-For: 1.1.1.1, 203.0.113.5\nX-Forwarded-Proto: https", "203.0.113.5", "https://cams.test"),
        (None, "", "127.0.0.1", "http://cams.test"),
    ],
)
def test_resolve_when_headers_come_from_there_then_client_and_base_are(
    peer: str | None, sent: str, ip: str, base: str
) -> None:
    found = PEERS.resolve(peer, headers(sent), tls=False)
    assert (found.ip, found.base.http) == (ip, base)


def test_resolve_when_there_is_no_host_then_it_is_our_own() -> None:
    assert PEERS.resolve("203.0.113.5", [], tls=True).base == PEERS.own


def test_resolve_when_the_connection_is_tls_then_the_base_is_https() -> None:
    assert PEERS.resolve("203.0.113.5", [HOST], tls=True).base == Base("https", "cams.test")


def test_resolve_when_the_public_url_is_set_then_no_request_changes_it() -> None:
    public = Base("https", "public.test")
    peers = Peers(TRUSTED, PEERS.own, public)
    for peer in (PROXY, "203.0.113.5", None):
        assert peers.resolve(peer, headers("X-Forwarded-Host: evil.test"), tls=False).base is public


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("localhost:3020", "192.168.1.7:3020"),
        ("127.0.0.1:3020", "192.168.1.7:3020"),
        ("[::1]:3020", "192.168.1.7:3020"),
        ("localhost", "192.168.1.7:3020"),
        ("cams.local", "cams.local"),
    ],
)
def test_resolve_when_others_can_reach_us_then_no_base_names_a_loopback_host(host: str, base: str) -> None:
    peers = Peers(TRUSTED, PEERS.own, reachable="192.168.1.7")
    assert peers.resolve("127.0.0.1", [(b"host", host.encode())], tls=False).base.host == base


def test_resolve_when_we_are_reached_by_ipv6_then_the_host_is_bracketed() -> None:
    peers = Peers(TRUSTED, Base("http", "own.test"), reachable="2001:db8::9")
    assert peers.resolve("127.0.0.1", [(b"host", b"localhost")], tls=False).base.host == "[2001:db8::9]"


OUTSIDE = st.one_of(
    st.integers(0x0B000000, 0x7EFFFFFF).map(ipaddress.IPv4Address),
    st.integers(1, 2**64).map(lambda n: ipaddress.IPv6Address((0x20010DB8 << 96) + n)),
).map(str)
PROXIES = st.integers(1, 2**24 - 1).map(lambda n: str(ipaddress.IPv4Address((10 << 24) + n)))
WRITTEN = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60)


def forwarded_for(parts: Sequence[str], form: str) -> tuple[bytes, bytes]:
    if form == "x":
        return b"X-Forwarded-For", ", ".join(parts).encode("latin-1")
    return b"Forwarded", ", ".join(p if "for=" in p or not p[:1].isalnum() else f"for={p}" for p in parts).encode(
        "latin-1"
    )


@given(
    written=WRITTEN | OUTSIDE | st.lists(OUTSIDE | PROXIES, max_size=4).map(", ".join),
    client=OUTSIDE,
    proxies=st.lists(PROXIES, max_size=3),
    host=WRITTEN,
)
def test_resolve_when_a_client_writes_anything_to_the_left_then_it_is_still_that_client(
    written: str, client: str, proxies: list[str], host: str
) -> None:
    sent = [HOST, forwarded_for([written, client, *proxies], "x"), (b"X-Forwarded-Host", host.encode("latin-1"))]
    assert PEERS.resolve(PROXY, sent, tls=False).ip == client


@given(written=WRITTEN | OUTSIDE, client=OUTSIDE.filter(lambda a: ":" not in a), proxies=st.lists(PROXIES, max_size=3))
def test_resolve_when_a_client_writes_anything_into_forwarded_then_it_is_still_that_client(
    written: str, client: str, proxies: list[str]
) -> None:
    value = ", ".join([written, *(f"for={p}" for p in (client, *proxies))])
    assert PEERS.resolve(PROXY, [HOST, (b"Forwarded", value.encode("latin-1"))], tls=False).ip == client


@given(peer=OUTSIDE, value=WRITTEN | OUTSIDE)
def test_resolve_when_a_stranger_writes_anything_then_he_stays_who_he_is(peer: str, value: str) -> None:
    names = (b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Forwarded-Proto", b"X-Forwarded-Port", b"Forwarded")
    found = PEERS.resolve(peer, [HOST, *((n, value.encode("latin-1")) for n in names)], tls=False)
    assert (found.ip, found.base) == (peer, Base("http", "cams.test"))
