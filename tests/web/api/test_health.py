from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

from streamhub.services.bundle import Services
from streamhub.services.health import Check, Health
from streamhub.web.app import Deps, create_app
from tests.fakes.api import Api


async def test_health_then_bare(deps: Deps) -> None:
    times: Iterator[float] = iter([100.0, *[106.9] * 10])
    api = Api(create_app(attrs.evolve(deps, monotonic=lambda: next(times))))
    assert (await api("GET", "/health")).json == {
        "status": "ok",
        "up": True,
        "version": "1.2.3",
        "ts": "2026-11-23T12:00:00.123Z",
        "uptimeSeconds": 6,
    }


async def test_health_when_verbose_then_checks_and_how_they_are(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = await api("GET", "/health?verbose=1")
    assert reply.json["status"] == "ok"
    assert reply.json["checks"][0]["name"] == "store"

    async def sick(_self: Health) -> list[Check]:
        return [Check("disk", False, "full", "Free some space.")]

    monkeypatch.setattr(Health, "checks", sick)
    reply = await api("GET", "/health?verbose=true")
    assert (reply.status, reply.json["status"]) == (200, "degraded")
    assert reply.json["checks"] == [{"name": "disk", "ok": False, "detail": "full", "hint": "Free some space."}]


async def test_stats_then_nothing_that_does_not_exist(api: Api) -> None:
    data = (await api("GET", "/stats")).data
    assert set(data) == {
        *("ts", "uptimeSeconds", "version", "cpu", "memory", "disk", "livekitReachable"),
        *("counts", "ingress", "egress", "storage"),
    }
    assert data["counts"] == {"apps": 2, "rooms": 0, "activeStreams": 0, "viewers": 0}
    nothing = {"reachable": False, "active": 0, "total": 0}
    assert (data["livekitReachable"], data["ingress"], data["egress"]) == (False, nothing, nothing)
