"""A reader of multipart bodies written from RFC 2046 §5.1, sharing nothing with the writer in ``wire``."""

from __future__ import annotations

import email.parser
import email.policy


def parts_of(body: bytes, boundary: bytes = b"frame") -> list[bytes]:
    """The bodies of all parts whose following delimiter line is there; Content-Length is obeyed and checked.

    Raises AssertionError where the stream breaks the format.
    """
    line = b"--" + boundary + b"\r\n"
    assert body.startswith(line), body[:60]
    at, found = len(line), []
    while at < len(body):
        end = body.index(b"\r\n\r\n", at) + 4
        headers = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(body[at:end])
        assert headers.get_content_type() == "image/jpeg"
        length = int(headers["Content-Length"])
        part = body[end : end + length]
        assert len(part) == length, "the stream ends inside a part"
        assert body[end + length :].startswith(b"\r\n" + line), "no delimiter after a part"
        found.append(part)
        at = end + length + 2 + len(line)
    return found
