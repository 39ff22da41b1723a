from __future__ import annotations

import base64
import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from streamhub.wire.multipart import CONTENT_TYPE, OPENING, format_part
from tests.support.multipart import parts_of

BOUNDARY_BITS = st.sampled_from([b"\r\n--frame\r\n", b"--frame--", b"\r\n\r\n", b"Content-Length: 3\r\n"])


@given(st.lists(st.lists(st.binary(max_size=40) | BOUNDARY_BITS, max_size=6).map(b"".join), max_size=8))
def test_parts_when_written_and_read_by_length_then_they_are_the_same(pictures: list[bytes]) -> None:
    assert parts_of(OPENING + b"".join(map(format_part, pictures))) == pictures


@given(st.lists(st.binary(min_size=1, max_size=60).filter(lambda b: b"--frame" not in b), min_size=1, max_size=5))
def test_parts_when_read_by_the_boundary_as_mail_readers_do_then_they_are_the_same(pictures: list[bytes]) -> None:
    # base64 makes them 7-bit: the mail parser is the judge of delimiters here, not of line ends inside pictures.
    encoded = [base64.b64encode(p) for p in pictures]
    stream = OPENING + b"".join(map(format_part, encoded))
    message = email.message_from_bytes(
        b"MIME-Version: 1.0\r\nContent-Type: " + CONTENT_TYPE.encode() + b"\r\n\r\n" + stream + b"--frame--\r\n",
        policy=email.policy.HTTP,
    )
    bodies = [str(p.get_payload()).encode() for p in message.iter_parts()]
    # What follows the last delimiter is the beginning of a part that never came.
    assert bodies[: len(encoded)] == encoded
    assert "".join(b.decode() for b in bodies[len(encoded) :]).strip() == ""
