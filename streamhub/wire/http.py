"""HTTP/1.1 answers of the doors that own their socket, as bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus

from streamhub.errors import StreamHubError

_RANGE = re.compile(r"bytes\s*=\s*(\d*)-(\d*)", re.ASCII)
SECURITY_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"))


def format_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """Status line and headers up to and including the empty line."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in (*headers, *SECURITY_HEADERS)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def format_error(
    error: StreamHubError, extra: Iterable[tuple[str, str]] = (), *, head_only: bool = False, close: bool = False
) -> bytes:
    """The whole answer for an error, in the one shape all errors have; ``extra`` are further headers."""
    body = json.dumps(error.body(), ensure_ascii=False).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Access-Control-Allow-Origin", "*"),
        *extra,
    ]
    if error.retry_after_s is not None:
        headers.append(("Retry-After", str(error.retry_after_s)))
    if close:
        headers.append(("Connection", "close"))
    return format_head(error.status, headers) + (b"" if head_only else body)


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """Offset and length of the one range asked for (RFC 9110 §14.1.2), of something ``size`` bytes long.

    None: the whole is to be sent, since the header is malformed or asks for several. Raises ValueError for a range
    that has no byte in it.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", "") or max(map(len, match.groups())) > 18:
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= end:
        raise ValueError("no byte in this range")
    return start, end - start


def matches(etag: str, if_none_match: str) -> bool:
    """Whether a conditional request (RFC 9110 §13.1.2) has what ``etag`` names."""
    return if_none_match.strip() == "*" or etag in [p.strip().removeprefix("W/") for p in if_none_match.split(",")]
