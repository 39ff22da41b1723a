"""Every error of the web application becomes an answer here, and nowhere else."""

from __future__ import annotations

import json
import secrets

from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from streamhub.errors import MethodNotAllowed, NotFound, StreamHubError, TooLarge, Unauthorized
from streamhub.observe.log import get_logger

MOST_BODY_BYTES = 1024 * 1024
log = get_logger("web")


class WrongMediaType(StreamHubError):
    """The body is not JSON."""

    status, code = 415, "unsupported_media_type"
    hint = "Send the body as JSON with 'Content-Type: application/json'."


class _Other(StreamHubError):
    """An error the framework found, with its own status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, code="request_failed", hint="Correct the request and send it again.")
        self.status = status


def register(app: Quart) -> None:
    """Answer all errors of ``app`` in the common form."""
    app.register_error_handler(StreamHubError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def error_response(exc: StreamHubError) -> Response:
    """The answer for an error."""
    answer = Response(json.dumps(exc.body()), status=exc.status, content_type="application/json")
    if isinstance(exc, Unauthorized):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="StreamHub"'
    if exc.retry_after_s is not None:
        answer.headers["Retry-After"] = str(exc.retry_after_s)
    return answer


# The handlers are async: Quart would run plain functions in a thread.


async def _known(exc: StreamHubError) -> Response:
    if exc.status >= 500:
        log.warning("request failed", code=exc.code, error=exc.message, method=request.method)
    return error_response(exc)


async def _http(exc: HTTPException) -> Response:
    if isinstance(exc, WrongMethod):
        methods = sorted(set(exc.valid_methods or ()) - {"OPTIONS"})
        answer = error_response(MethodNotAllowed(f"{request.method} is not possible here"))
        answer.headers["Allow"] = ", ".join(methods)
        return answer
    if exc.code == 404:
        return error_response(NotFound(f"there is nothing at {request.path[:200]}"))
    if exc.code == 413:
        return error_response(
            TooLarge(f"the body is larger than {MOST_BODY_BYTES // 1024} KiB", hint="Send a smaller body.")
        )
    if exc.code is None or exc.code >= 500:
        return await _unexpected(exc)
    if exc.code < 400:
        return Response(status=exc.code, headers=dict(exc.get_headers()))
    return error_response(_Other(exc.code, exc.name.lower()))


async def _unexpected(exc: Exception) -> Response:
    """Tell the caller no more than a number by which the log line is found."""
    number = secrets.token_hex(4)
    log.error("unexpected error", error_id=number, method=request.method, path=request.path, exc_info=exc)
    return error_response(
        StreamHubError(
            f"an unexpected error happened (number {number})", hint=f"Look for {number} in the server's log."
        )
    )
