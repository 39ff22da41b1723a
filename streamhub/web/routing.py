"""One declaration per route, and the one path every request takes: authenticate, authorise, parse, act, answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
import trio
from quart import Response, request
from quart_trio import QuartTrio

from streamhub.errors import BadRequest
from streamhub.model.access import Principal
from streamhub.model.urls import Base
from streamhub.observe.log import get_logger
from streamhub.services.apps import App, unknown_app
from streamhub.services.fields import Page, Paging
from streamhub.web.auth import Auth, authenticate_for, peer
from streamhub.web.deps import Deps
from streamhub.web.errors import WrongMediaType
from streamhub.web.schema import dump, parse, parse_query

PREFIX = "/api/v1"
ITEMS_AT_ONCE = 20
log = get_logger("api")


@attrs.frozen
class Call:
    """One authorised request: ``principal`` is None on public routes only, ``app`` is set where the path names one."""

    principal: Principal | None
    app: App | None
    path: dict[str, str]
    query: Any
    body: Any
    base: Base

    @property
    def loaded_app(self) -> App:
        """The app of the path."""
        assert self.app is not None
        return self.app


Handler = Callable[[Deps, Call], Awaitable[object]]


@attrs.frozen(kw_only=True)
class Route:
    """One operation. ``answer`` is the type of ``data`` (of its items when ``paged``); None answers no body.

    ``bare``: without the ``data`` envelope. ``media``: the handler makes its own response of that type.
    ``root``: outside ``/api/v1``. ``loads_app``: False leaves the ``<app>`` of the path to the handler.
    """

    method: str
    path: str
    summary: str
    auth: Auth
    handler: Handler
    answer: Any = None
    status: int = 200
    body: type | None = None
    query: type | None = None
    paged: bool = False
    bare: bool = False
    media: str | None = None
    root: bool = False
    loads_app: bool = True
    errors: tuple[int, ...] = ()

    @property
    def full_path(self) -> str:
        """The path from the root of the host, with ``<placeholders>``."""
        return self.path if self.root else PREFIX + self.path

    @property
    def wants_app(self) -> bool:
        """Whether the app of the path is loaded before the handler runs."""
        return self.loads_app and "<app>" in self.path

    @property
    def query_type(self) -> type | None:
        """The declared query: that of paging for lists."""
        return self.query or (Paging if self.paged else None)

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status the route may answer with besides 500."""
        found = {self.status, *self.errors}
        found |= set() if self.auth.public else {401, 403}
        found |= {404} if self.wants_app else set()
        found |= {400} if self.query_type or self.body else set()
        found |= {413, 415} if self.body else set()
        return tuple(sorted(found))


def mount(app: QuartTrio, routes: Sequence[Route], deps: Deps) -> None:
    """Serve the routes."""
    for route in routes:
        app.add_url_rule(
            route.full_path,
            endpoint=f"{route.method} {route.path}".replace(".", "_"),
            view_func=_view(route, deps),
            methods=[route.method],
            provide_automatic_options=False,
        )


def _view(route: Route, deps: Deps) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        with deps.metrics.in_flight.track_inprogress():
            principal, app = await _admit(route, deps, path)
            query = parse_query(route.query_type, request.args) if route.query_type else None
            body = parse(route.body, await _read_json()) if route.body else None
            value = await route.handler(deps, Call(principal, app, path, query, body, peer().base))
            if route.method != "GET" and principal is not None:
                _audit(route, principal, path)
            return value if isinstance(value, Response) else await _answer(route, value)

    return view


async def _admit(route: Route, deps: Deps, path: dict[str, str]) -> tuple[Principal | None, App | None]:
    """The caller, and the app if the route is about one.

    Authorised for the app found, not for the name asked: who may not reach an app never learns if it exists.
    """
    name = path["app"] if route.wants_app else None
    principal: Principal | None = None
    if route.auth.public:
        app = None if name is None else await deps.services.apps.find(name)
    else:
        principal, app = await authenticate_for(deps.services.access, name)
        route.auth.authorise(principal, app.name if app else path.get("app"))
    if route.wants_app and app is None:
        raise unknown_app(path["app"])
    return principal, app


def _audit(route: Route, principal: Principal, path: dict[str, str]) -> None:
    log.info(
        "changed",
        by=principal.name,
        token=principal.token_id,
        ip=peer().ip,
        method=route.method,
        route=route.path,
        **path,
    )


async def _answer(route: Route, value: object) -> Response:
    if route.answer is None:
        return Response(b"", status=route.status)
    if isinstance(value, Page):
        content: object = {
            "data": await _dump_all(value.items),
            "total": value.total,
            "limit": value.paging.limit,
            "offset": value.paging.offset,
        }
    else:
        content = dump(value) if route.bare else {"data": dump(value)}
    return Response(json.dumps(content), status=route.status, content_type="application/json")


async def _dump_all(items: Sequence[object]) -> list[Any]:
    """Their JSON forms. A long list takes 50 ms: pictures must not wait for that."""
    dumped: list[Any] = []
    for at in range(0, len(items), ITEMS_AT_ONCE):
        if at:
            await trio.lowlevel.checkpoint()
        dumped += [dump(item) for item in items[at : at + ITEMS_AT_ONCE]]
    return dumped


async def _read_json() -> object:
    """The body as JSON; none counts as an empty object. Raises BadRequest, WrongMediaType."""
    raw = await request.get_data(cache=False)
    assert isinstance(raw, bytes)
    if not raw.strip():
        return {}
    kind = request.mimetype
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise WrongMediaType(f"the body is {kind or 'of no declared type'}, expected application/json")
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs)
    except UnicodeDecodeError as exc:
        raise BadRequest(f"the body is not UTF-8 text (byte {exc.start})", code="bad_json") from None
    except json.JSONDecodeError as exc:
        raise BadRequest(
            f"the body is not valid JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})", code="bad_json"
        ) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply", code="bad_json") from None
    except ValueError as exc:
        raise BadRequest(f"the body is not valid JSON: {exc}", code="bad_json") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the field {name[:60]!r} occurs twice")
        found[name] = value
    return found
