from __future__ import annotations

import hmac
from hashlib import sha256

import pytest

from streamhub.wire.rtmp.errors import RtmpError
from streamhub.wire.rtmp.handshake import PART, answer, check_version
from tests.support.rtmp import PLAYER, SERVER, TAIL, digest, digest_c1, digest_place, plain_c1


def test_handshake_when_c1_is_plain_then_it_is_echoed() -> None:
    c1 = plain_c1()
    said = answer(c1, lambda n: b"r" * n)
    assert said == b"\x03" + bytes(8) + b"r" * 1528 + c1


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("seed", range(5))
def test_handshake_when_c1_has_a_digest_then_s1_and_s2_have_ones(scheme: int, seed: int) -> None:
    c1 = digest_c1(scheme, seed)
    said = answer(c1)
    assert (said[0], len(said)) == (3, 1 + 2 * PART)
    s1, s2 = said[1 : 1 + PART], said[1 + PART :]
    assert s1[4:8] != bytes(4)
    at = digest_place(s1, scheme)
    assert s1[at : at + 32] == digest(SERVER, s1, at)
    place = digest_place(c1, scheme)
    key = hmac.digest(SERVER + TAIL, c1[place : place + 32], sha256)
    assert s2[-32:] == hmac.digest(key, s2[:-32], sha256)


def test_handshake_when_the_digest_is_of_somebody_else_then_c1_is_echoed() -> None:
    c1 = bytearray(digest_c1(0))
    at = digest_place(bytes(c1), 0)
    c1[at : at + 32] = digest(PLAYER + b"!", bytes(c1), at)
    assert answer(bytes(c1))[1 + PART :] == c1


@pytest.mark.parametrize(("first", "word"), [(6, "RTMPE"), (8, "RTMPE"), (ord("G"), "no RTMP"), (0x16, "no RTMP")])
def test_version_when_it_is_not_3_then_it_is_refused(first: int, word: str) -> None:
    with pytest.raises(RtmpError, match=word):
        check_version(first)


def test_version_when_it_is_3_then_it_passes() -> None:
    check_version(3)
