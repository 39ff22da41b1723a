"""``/whip``: RFC 9725 over HTTP. What decides is ``ingest.whip``; here are the paths, headers and CORS.

No cookie is ever looked at, so pages of any origin may publish: they can do only what their stream key may.
"""

from __future__ import annotations

from quart import Blueprint, Response, request

from streamhub.errors import MethodNotAllowed, TooLarge
from streamhub.ingest.whip import WhipDoor
from streamhub.web.auth import bearer, peer
from streamhub.web.errors import error_response
from streamhub.wire.sdp import MOST_SDP_BYTES, SDP_TYPE
from streamhub.wire.trickle import TRICKLE_TYPE

SESSIONS = "/whip/sessions"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_REMEMBER_S = "600"


def blueprint(door: WhipDoor) -> Blueprint:
    """The endpoint and its sessions. Pages learn ``Location``, ``ETag`` and ``Link``."""
    whip = Blueprint("whip", __name__)

    async def endpoint(key: str | None = None) -> Response:
        if request.method == "OPTIONS":
            return _options("POST", "Accept-Post", SDP_TYPE)
        if request.method != "POST":
            return _wrong_method("OPTIONS, POST")
        made = await door.publish(key or bearer(), _media_type(), await _body(), peer().ip)
        answer = Response(made.answer, status=201, content_type=SDP_TYPE)
        answer.headers["Location"] = f"{SESSIONS}/{made.session_id}"
        answer.headers["ETag"] = f'"{made.etag}"'
        if made.links is not None:
            answer.headers["Link"] = made.links
        return answer

    async def session(session_id: str) -> Response:
        if request.method == "OPTIONS":
            return _options("DELETE, PATCH", "Accept-Patch", TRICKLE_TYPE)
        if request.method == "DELETE":
            await door.end(session_id, bearer())
            return Response(b"", status=200)
        if request.method != "PATCH":
            return _wrong_method("DELETE, OPTIONS, PATCH")
        await door.trickle(session_id, bearer(), request.headers.get("If-Match"), _media_type(), await _body())
        return Response(b"", status=204)

    for path in ("/whip", "/whip/<key>"):
        whip.add_url_rule(path, f"endpoint {path}", endpoint, methods=_METHODS, strict_slashes=False)
    whip.add_url_rule(f"{SESSIONS}/<session_id>", "session", session, methods=_METHODS)

    @whip.after_request
    async def finish(answer: Response) -> Response:
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Access-Control-Expose-Headers"] = "Location, ETag, Link, Retry-After"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return whip


def _media_type() -> str:
    return request.mimetype or ""


async def _body() -> bytes:
    """The body. Raises TooLarge."""
    if (request.content_length or 0) <= MOST_SDP_BYTES:
        body = await request.get_data(cache=False)
        assert isinstance(body, bytes)
        if len(body) <= MOST_SDP_BYTES:
            return body
    raise TooLarge(f"the body is larger than {MOST_SDP_BYTES // 1024} KiB", hint="Send a plain session description.")


def _options(methods: str, accept: str, media_type: str) -> Response:
    answer = Response(b"", status=204)
    answer.headers["Allow"] = f"{methods}, OPTIONS"
    answer.headers[accept] = media_type
    answer.headers["Access-Control-Allow-Methods"] = methods
    answer.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
    answer.headers["Access-Control-Max-Age"] = _REMEMBER_S
    return answer


def _wrong_method(allow: str) -> Response:
    answer = error_response(MethodNotAllowed(f"{request.method} is not possible here"))
    answer.headers["Allow"] = allow
    return answer
