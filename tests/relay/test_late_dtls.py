"""What reaches a publisher's socket after the handshake, with real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from streamhub.relay.late_dtls import CHANGE_CIPHER_SPEC, HANDSHAKE, ignore_late_dtls

ALERT, STUN, RTCP = 21, 1, 0x80


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours and the server's."""
    family, host = request.param
    with socket.socket(family, socket.SOCK_DGRAM) as ours, socket.socket(family, socket.SOCK_DGRAM) as theirs:
        ours.bind((host, 0))
        theirs.bind((host, 0))
        ours.connect(theirs.getsockname())
        theirs.connect(ours.getsockname())
        ours.settimeout(10)
        yield ours, theirs


def test_handshake_messages_after_the_handshake_then_only_they_are_dropped(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    assert ignore_late_dtls() >= 1
    for first in (HANDSHAKE, STUN, CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, RTCP):
        theirs.send(bytes((first, 254, 253)) + bytes(1000))
    assert [ours.recv(2048)[0] for _ in range(3)] == [STUN, ALERT, RTCP]


def test_message_that_waits_when_the_handshake_ends_then_it_is_gone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.send(bytes((HANDSHAKE, 254, 253)) + bytes(1000))
    assert ours.recv(2048, socket.MSG_PEEK)[0] == HANDSHAKE
    ignore_late_dtls()
    theirs.send(bytes((RTCP,)) + bytes(10))
    assert ours.recv(2048)[0] == RTCP


def test_other_descriptors_then_they_are_left_alone() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        other.send(bytes((HANDSHAKE,)))
        ignore_late_dtls()
        assert one.recv(10) == bytes((HANDSHAKE,))
