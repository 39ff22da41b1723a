"""Requests that are no business of the web application: whose they are, and which are refused."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import h11

from streamhub.errors import BadRequest
from streamhub.net.connection import DoorWire, Taken
from streamhub.wire.http import format_error

Door: TypeAlias = Callable[[Taken], Awaitable[None]]
# (method, path without query, whether it is a WebSocket upgrade) -> who takes it; None: the web application.
Route: TypeAlias = Callable[[str, str, bool], Door | None]

REFUSE_S = 1.0
LINGER_BYTES = 1024 * 1024
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)((?:[/?][^#]*)?)", re.IGNORECASE)


def door_of(route: Route, request: h11.Request) -> Door | None:
    """Who takes the request, itself in origin form, away from the web application."""
    if (refuse := _refusal(request)) is not None:
        return refuse
    path = request.target.partition(b"?")[0].decode("ascii")
    return route(request.method.decode("ascii"), path, is_upgrade(request))


def is_upgrade(request: h11.Request) -> bool:
    """Whether it asks for a WebSocket."""
    return request.method == b"GET" and any(
        k == b"upgrade" and v.strip().lower() == b"websocket" for k, v in request.headers
    )


def in_origin_form(request: h11.Request) -> h11.Request:
    """The same request with a path as its target: ``http://host/path`` means ``/path`` and ``Host: host``.

    RFC 9112 §3.2.2. A target in no form that means something here stays as it is, and is refused.
    """
    absolute = _ABSOLUTE.fullmatch(request.target)
    if absolute is None:
        return request
    host, rest = absolute.groups()
    return h11.Request(
        method=request.method,
        target=rest if rest.startswith(b"/") else b"/" + rest,
        headers=[(k, v) for k, v in request.headers if k != b"host"] + [(b"host", host)],
        http_version=request.http_version,
    )


def _refusal(request: h11.Request) -> Door | None:
    """Who turns a request away that others on the way here may have understood differently; None for a clear one."""
    names = {name for name, _ in request.headers}
    if not request.http_version.startswith(b"1."):  # the HTTP/2 preface looks like such a request
        error = BadRequest("this port speaks HTTP/1.1", code="http_version", hint="Use HTTP/1.1.")
    elif request.method == b"CONNECT":  # a 2xx to it would end HTTP on this connection
        error = BadRequest("this is not a proxy", code="no_proxy", hint="Send the request without a proxy.")
    elif not request.target.startswith(b"/") and request.target != b"*":
        error = BadRequest(
            "the request's target is no path", code="bad_request_target", hint="Send a path: GET /api/v1/health"
        )
    elif b"transfer-encoding" in names and (b"content-length" in names or request.http_version != b"1.1"):
        # RFC 9112 §6.1: the way to smuggle a second request past a proxy.
        error = BadRequest("Transfer-Encoding does not go with Content-Length or HTTP/1.0", code="ambiguous_length")
    else:
        return None

    async def refuse(taken: Taken) -> None:
        wire = DoorWire(taken.stream)
        await wire.send_last(format_error(error, close=True), REFUSE_S)
        await wire.linger(REFUSE_S, LINGER_BYTES)

    return refuse
