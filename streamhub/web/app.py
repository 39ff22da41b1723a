"""The Quart-Trio application: REST, pages, and what every answer carries."""

from __future__ import annotations

import functools

from quart import Response, g, request
from quart_trio import QuartTrio

from streamhub.web import errors
from streamhub.web.api import apps, docs, health, hls, ingress, join_tokens, streams, tokens, ws_ingest
from streamhub.web.auth import peer
from streamhub.web.cors import add_cors
from streamhub.web.deps import Deps
from streamhub.web.livekit_hook import blueprint as livekit_hook
from streamhub.web.openapi import template
from streamhub.web.pages import blueprint as pages_blueprint
from streamhub.web.routing import PREFIX, Route, mount
from streamhub.web.whip import blueprint as whip_blueprint

__all__ = ["Deps", "all_routes", "create_app"]

_HSTS = "max-age=31536000"
_NOTHING_MAY_LOAD = "default-src 'none'; frame-ancestors 'none'"


def all_routes(version: str) -> list[Route]:
    """Every operation of the REST API."""
    found: tuple[Route, ...] = (*health.ROUTES, *tokens.ROUTES, *apps.ROUTES, *join_tokens.ROUTES)
    found += (*ingress.ROUTES, *ws_ingest.ROUTES, *streams.ROUTES, *hls.ROUTES)
    return docs.routes_with_docs(found, version)


def create_app(deps: Deps) -> QuartTrio:
    """The application over the services given. Reads static files (blocking): build it before serving.

    Every request's scope must carry ``streamhub.peer`` (``net.peers.Peer``).
    """
    app = QuartTrio(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = errors.MOST_BODY_BYTES
    # An unknown path with two slashes is unknown, not moved.
    app.url_map.merge_slashes = False
    errors.register(app)
    mount(app, all_routes(deps.version), deps)
    app.register_blueprint(livekit_hook(deps.services.watch))
    app.register_blueprint(whip_blueprint(deps.services.whip))
    if deps.pages is not None:
        app.register_blueprint(pages_blueprint(deps.pages))
    _add_headers(app, deps)
    add_cors(app, deps.cors_origins)
    return app


# The functions below are async though nothing in them waits: Quart would run plain ones in a thread.


def _add_headers(app: QuartTrio, deps: Deps) -> None:
    @app.before_request
    async def start_clock() -> None:
        g.started = deps.monotonic()

    @app.after_request
    async def finish(answer: Response) -> Response:
        headers = answer.headers
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Permitted-Cross-Domain-Policies"] = "none"
        if peer().base.scheme == "https":  # browsers warn of it elsewhere
            headers["Origin-Agent-Cluster"] = "?1"
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Content-Security-Policy", _NOTHING_MAY_LOAD)
        if request.path.startswith(PREFIX) or request.path == "/metrics":
            headers.setdefault("Cache-Control", "no-store")
        if deps.tls:
            headers["Strict-Transport-Security"] = _HSTS
        route = _label(request.url_rule.rule) if request.url_rule else "(none)"
        seconds = deps.monotonic() - getattr(g, "started", deps.monotonic())
        deps.metrics.http_observe(_method(), route, answer.status_code, seconds)
        if answer.status_code >= 500:
            deps.metrics.errors.labels("http", str(answer.status_code)).inc()
        if answer.status_code == 204:
            # RFC 9110 §8.6: no Content-Length where there can be no content.
            del headers["Content-Length"], headers["Content-Type"]
        return answer


@functools.cache
def _label(rule: str) -> str:
    return template(rule).replace("{", ":").replace("}", "")


def _method() -> str:
    """The method as a label: what nobody knows is one word, or a stranger could grow the metrics without end."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return request.method if request.method in known else "other"
