"""HTTP/1.1 answers of the doors that own their socket, as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus

from streamhub.errors import StreamHubError

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
