"""The handshake: the plain one (RTMP 1.0 §5.2) and the one with digests that Flash Media Server 3 brought.

A client that put a digest into C1 (ffmpeg, librtmp) checks the server's; the others are answered by the echo of the
specification. C2 is not checked: encoders send all sorts of things there.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256

from streamhub.wire.rtmp.errors import RtmpError

PART = 1536  # bytes of C1, C2, S1, S2
VERSION = 3
DIGEST = 32
_TAIL = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
_CLIENT = b"Genuine Adobe Flash Player 001"
_SERVER = b"Genuine Adobe Flash Media Server 001"
_SERVER_VERSION = b"\x05\x00\x01\x01"  # not zero: clients look for a digest only then
# Where the four bytes are whose sum places the digest: before the key part, or after it.
_SCHEMES = (8, 772)


def check_version(c0: int) -> None:
    """Raises RtmpError if the first byte is no C0 of ours."""
    if c0 == VERSION:
        return
    if c0 in (6, 8, 9):
        raise RtmpError("RTMPE is not spoken here: use rtmps:// for an encrypted connection")
    raise RtmpError("no RTMP client: its first byte is not version 3")


def answer(c1: bytes, random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """S0, S1 and S2. ``c1`` has PART bytes."""
    for scheme in _SCHEMES:
        place = _place(c1, scheme)
        digest = c1[place : place + DIGEST]
        if hmac.compare_digest(digest, _sign(_CLIENT, c1, place)):
            return bytes([VERSION]) + _signed_s1(scheme, random) + _signed_s2(digest, random)
    return bytes([VERSION]) + bytes(8) + random(PART - 8) + c1


def _place(part: bytes, scheme: int) -> int:
    return sum(part[scheme : scheme + 4]) % 728 + scheme + 4


def _sign(key: bytes, part: bytes, place: int) -> bytes:
    """The digest of a part, taken over everything but its place."""
    return hmac.digest(key, part[:place] + part[place + DIGEST :], sha256)


def _signed_s1(scheme: int, random: Callable[[int], bytes]) -> bytes:
    s1 = bytes(4) + _SERVER_VERSION + random(PART - 8)
    place = _place(s1, scheme)
    return s1[:place] + _sign(_SERVER, s1, place) + s1[place + DIGEST :]


def _signed_s2(client_digest: bytes, random: Callable[[int], bytes]) -> bytes:
    s2 = random(PART - DIGEST)
    key = hmac.digest(_SERVER + _TAIL, client_digest, sha256)
    return s2 + hmac.digest(key, s2, sha256)
