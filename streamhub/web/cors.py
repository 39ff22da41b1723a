"""Which other origins' pages may call the REST API from a browser."""

from __future__ import annotations

from quart import Quart, Response, request

from streamhub.web.routing import PREFIX

_METHODS = "GET, POST, PATCH, DELETE"
_REQUEST_HEADERS = "Authorization, Content-Type"
_ANSWER_HEADERS = "Retry-After, Allow, WWW-Authenticate"
_REMEMBER_S = "600"


def add_cors(app: Quart, origins: tuple[str, ...]) -> None:
    """Let pages of these origins ('*': of all) call the API with a token; without any, nothing is added.

    Cookies are never involved, so a page can do only what its token may.
    """
    if not origins:
        return

    @app.before_request
    async def preflight() -> Response | None:
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not asks or not request.path.startswith(f"{PREFIX}/"):
            return None
        answer = Response(b"", status=204)
        if _allowed(origins) is not None:
            answer.headers["Access-Control-Allow-Methods"] = _METHODS
            answer.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
            answer.headers["Access-Control-Max-Age"] = _REMEMBER_S
        return answer

    @app.after_request
    async def allow(answer: Response) -> Response:
        if request.path.startswith(f"{PREFIX}/"):
            if "*" not in origins:
                answer.vary.add("Origin")
            allowed = _allowed(origins)
            if allowed is not None:
                answer.headers["Access-Control-Allow-Origin"] = allowed
                answer.headers["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
        return answer


def _allowed(origins: tuple[str, ...]) -> str | None:
    origin = request.headers.get("Origin")
    if origin is None:
        return None
    return "*" if "*" in origins else origin if origin in origins else None
