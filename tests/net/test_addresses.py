from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.net.addresses import bracketed, is_any_host, is_loopback_host, lan_address, split_host


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_is_loopback_when_only_this_machine_is_meant_then_true(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ["cams.test", "192.168.1.7", "0.0.0.0", "::", "localhost.evil.test", "", "fe80::1"])
def test_is_loopback_when_others_may_be_meant_then_false(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize(("host", "found"), [("0.0.0.0", True), ("::", True), ("*", True), ("127.0.0.1", False)])
def test_is_any_when_a_bind_takes_every_address_then_true(host: str, found: bool) -> None:
    assert is_any_host(host) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cams.test", ("cams.test", None)),
        ("cams.test:3020", ("cams.test", 3020)),
        ("10.0.0.1:0", ("10.0.0.1", 0)),
        ("[::1]", ("::1", None)),
        ("[::1]:3020", ("::1", 3020)),
        ("::1", ("::1", None)),
        ("cams.test:", ("cams.test", None)),
        ("", None),
        (":3020", None),
        ("[::1", None),
        ("[::1]3020", None),
        ("[]:1", None),
        ("a b", None),
        ("a/b", None),
        ("user@host", None),
        ("cams.test:65536", None),
        ("cams.test:-1", None),
        ("cams.test:²", None),
        ("kamerä", None),
    ],
)
def test_split_host_when_given_a_host_header_then_host_and_port_or_none(
    text: str, found: tuple[str, int | None] | None
) -> None:
    assert split_host(text) == found


@given(st.text(max_size=40))
def test_split_host_when_given_any_text_then_what_it_accepts_is_safe_in_a_url(text: str) -> None:
    found = split_host(text)
    if found is not None:
        assert not set(found[0]) & set(" /?#@\"'<>\\[]\r\n")
        assert found[1] is None or 0 <= found[1] <= 65535


def test_bracketed_when_the_host_is_ipv6_then_it_is_in_brackets() -> None:
    assert (bracketed("::1"), bracketed("10.0.0.1"), bracketed("a.test")) == ("[::1]", "10.0.0.1", "a.test")


class Probe:
    """A UDP socket on a machine whose routing table is told: which family leads out, from which address."""

    routes: dict[int, str]

    def __init__(self, family: int, _kind: int) -> None:
        self.family = family

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def connect(self, _target: tuple[str, int]) -> None:
        if self.family not in self.routes:
            raise OSError(101, "Network is unreachable")

    def getsockname(self) -> tuple[str, int]:
        return self.routes[self.family], 9


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ({socket.AF_INET: "192.168.1.7", socket.AF_INET6: "2001:db8::7"}, "192.168.1.7"),
        ({socket.AF_INET6: "2001:db8::7"}, "2001:db8::7"),
        ({socket.AF_INET: "127.0.0.1"}, None),
        ({socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::1"}, None),
        ({}, None),
    ],
)
def test_lan_address_when_asked_then_it_is_the_one_that_leads_out(
    monkeypatch: pytest.MonkeyPatch, routes: dict[int, str], found: str | None
) -> None:
    monkeypatch.setattr(Probe, "routes", routes, raising=False)
    monkeypatch.setattr("streamhub.net.addresses.socket.socket", Probe)
    assert lan_address() == found
