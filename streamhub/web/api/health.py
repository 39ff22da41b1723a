"""``/health``, ``/stats``, ``/auth/me`` and ``/metrics``."""

from __future__ import annotations

import math
from typing import Literal

import attrs
from quart import Response

from streamhub.errors import Forbidden, NotFound, StoreError, Unauthorized
from streamhub.model.access import Right
from streamhub.model.clock import iso_ms
from streamhub.services import stats
from streamhub.services.fields import declared
from streamhub.services.health import Check
from streamhub.web.auth import KNOWN, PUBLIC, SERVER_READ, authenticate, is_metrics_token
from streamhub.web.deps import Deps
from streamhub.web.routing import Call, Route

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@attrs.frozen
class HealthQuery:
    verbose: bool = declared("With the checks; needs a token.", default=False)


@attrs.frozen
class HealthAnswer:
    status: Literal["ok", "degraded"]
    up: bool
    version: str
    ts: str
    uptime_seconds: int


@attrs.frozen
class VerboseHealthAnswer:
    status: Literal["ok", "degraded"]
    up: bool
    version: str
    ts: str
    uptime_seconds: int
    checks: tuple[Check, ...]


@attrs.frozen
class Cpu:
    load_avg: tuple[float, ...]
    cores: int


@attrs.frozen
class Counts:
    apps: int
    rooms: int
    active_streams: int
    viewers: int


@attrs.frozen
class Storage:
    db_size_bytes: int


@attrs.frozen
class StatsAnswer:
    ts: str
    uptime_seconds: int
    version: str
    cpu: Cpu
    memory: stats.Space | None
    disk: stats.Space | None
    livekit_reachable: bool
    counts: Counts
    ingress: stats.Traffic
    egress: stats.Traffic
    storage: Storage


@attrs.frozen
class MeAnswer:
    user_id: str
    tenant_id: str | None
    role: str | None
    name: str
    scope: str
    app: str | None
    rights: tuple[Right, ...]
    is_superadmin: bool
    via: Literal["api_token"]


async def get_health(deps: Deps, call: Call) -> HealthAnswer | VerboseHealthAnswer:
    now, uptime = iso_ms(deps.now()), deps.uptime_s
    if not call.query.verbose:
        return HealthAnswer("ok", True, deps.version, now, uptime)
    await authenticate(deps.services.access)
    checks = tuple(await deps.services.health.checks())
    status: Literal["ok", "degraded"] = "degraded" if any(c.ok is False for c in checks) else "ok"
    return VerboseHealthAnswer(status, True, deps.version, now, uptime, checks)


async def get_stats(deps: Deps, _call: Call) -> StatsAnswer:
    found = await deps.services.stats.server()
    return StatsAnswer(
        ts=iso_ms(deps.now()),
        uptime_seconds=deps.uptime_s,
        version=deps.version,
        cpu=Cpu(found.load_avg, found.cores),
        memory=found.memory,
        disk=found.disk,
        livekit_reachable=found.livekit_reachable,
        counts=Counts(found.apps, found.rooms, found.active_streams, found.viewers),
        ingress=found.ingress,
        egress=found.egress,
        storage=Storage(found.db_size_bytes),
    )


async def get_me(_deps: Deps, call: Call) -> MeAnswer:
    who = call.principal
    assert who is not None
    return MeAnswer(
        user_id=f"token:{who.token_id}",
        tenant_id=None,  # there are neither tenants nor roles: the rights say it
        role=None,
        name=who.name,
        scope=who.scope.value,
        app=who.app,
        rights=tuple(r for r in Right if r in who.rights),
        is_superadmin=who.app is None and Right.MANAGE in who.rights,
        via="api_token",
    )


async def _may_scrape(deps: Deps) -> None:
    """Return if an API token stands for the metrics token. Raises NotFound or Forbidden as the contract has it."""
    try:
        principal = await authenticate(deps.services.access)
    except Unauthorized as exc:
        why, hint = f"/metrics is closed: {exc.message}", "Send it as Bearer, or an API token that may read everything."
        if deps.metrics_token is None:
            raise NotFound(why, code="no_metrics_token", hint=f"Set STREAMHUB_METRICS_TOKEN. {hint}") from None
        raise Forbidden(why, code="metrics_token_wrong", hint=f"STREAMHUB_METRICS_TOKEN opens it. {hint}") from None
    principal.require(Right.READ)


async def get_metrics(deps: Deps, _call: Call) -> Response:
    if not is_metrics_token(deps.metrics_token):
        await _may_scrape(deps)
    try:
        deps.metrics.apps.set(await deps.services.stats.apps())
    except StoreError:  # the other figures are worth most when something is broken
        deps.metrics.apps.set(math.nan)
    return Response(await deps.metrics.exposition(), content_type=METRICS_TYPE)


ROUTES = (
    Route(
        method="GET",
        path="/health",
        summary="Whether the server is up; with ?verbose=1 how it is",
        auth=PUBLIC,
        handler=get_health,
        answer=HealthAnswer | VerboseHealthAnswer,
        query=HealthQuery,
        bare=True,
        errors=(401,),
    ),
    Route(
        method="GET",
        path="/stats",
        summary="Load, space and counts of the server",
        auth=SERVER_READ,
        handler=get_stats,
        answer=StatsAnswer,
    ),
    Route(method="GET", path="/auth/me", summary="Who the token is", auth=KNOWN, handler=get_me, answer=MeAnswer),
    Route(
        method="GET",
        path="/metrics",
        summary="Prometheus metrics; the metrics token, or an API token of global scope with the right 'read'",
        auth=PUBLIC,
        handler=get_metrics,
        media=METRICS_TYPE,
        root=True,
        errors=(403, 404),
    ),
)
