"""``/openapi.json`` and ``/docs``: the same declarations, for programs and for people."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from html import escape

import trio
from quart import Response

from streamhub.web.auth import PUBLIC, Auth
from streamhub.web.deps import Deps
from streamhub.web.openapi import build_openapi, template
from streamhub.web.routing import Call, Route

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CACHE = "public, max-age=300"


def routes_with_docs(others: Sequence[Route], version: str) -> list[Route]:
    """All routes: the others and the two that describe them all."""

    async def get_openapi(_deps: Deps, _call: Call) -> Response:
        return Response(
            await trio.to_thread.run_sync(document), content_type="application/json", headers={"Cache-Control": _CACHE}
        )

    async def get_docs(_deps: Deps, _call: Call) -> Response:
        headers = {"Cache-Control": _CACHE, "Content-Security-Policy": _POLICY}
        return Response(await trio.to_thread.run_sync(page), content_type="text/html; charset=utf-8", headers=headers)

    routes = [
        *others,
        Route(
            method="GET",
            path="/openapi.json",
            summary="This API for programs (OpenAPI 3.1)",
            auth=PUBLIC,
            handler=get_openapi,
            media="application/json",
        ),
        Route(
            method="GET",
            path="/docs",
            summary="This API for people",
            auth=PUBLIC,
            handler=get_docs,
            media="text/html; charset=utf-8",
        ),
    ]
    # Made when first asked for: nobody's start waits for them.
    document = functools.cache(lambda: json.dumps(build_openapi(routes, version)))
    page = functools.cache(lambda: _page(routes, version))
    return routes


def _page(routes: Sequence[Route], version: str) -> str:
    rows = "".join(
        f"<tr><td>{r.method}</td><td><code>{escape(template(r.full_path))}</code></td>"
        f"<td>{escape(r.summary)}</td><td>{escape(_needs(r.auth))}</td></tr>"
        for r in routes
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>StreamHub API</title><style>{_STYLE}</style></head>
<body>
<h1>StreamHub API</h1>
<p>Version {escape(version)}. Programs read <a href="openapi.json">openapi.json</a>.
Send <code>Authorization: Bearer sk_…</code> with an API token and bodies as JSON.
Every success is <code>{{"data": …}}</code>; lists add <code>total</code>, <code>limit</code> and <code>offset</code>.
Every error has <code>statusCode</code>, <code>code</code>, <code>message</code> and <code>hint</code>.</p>
<table><thead><tr><th>Method</th><th>Path</th><th>What it does</th><th>Needs</th></tr></thead>
<tbody>{rows}</tbody></table>
</body></html>
"""


def _needs(auth: Auth) -> str:
    if auth.public:
        return "nothing"
    if auth.right is None:
        return "any token"
    return f"{auth.right.value}, {'global scope' if auth.everywhere else 'global or the app'}"
