"""The document tells the truth: every route is in it, and every real answer fits what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from streamhub.services.bundle import Services
from streamhub.web.app import all_routes
from tests.fakes.api import Api, Reply
from tests.fakes.hub import FakeHub
from tests.web.jsonschema import faults
from tests.web.world import ASKS, World


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    reply = await api("GET", "/openapi.json", token="")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = reply.json
    return found


def operation(document: dict[str, Any], route: tuple[str, str]) -> dict[str, Any]:
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route[1])
    found: dict[str, Any] = document["paths"][path][route[0].lower()]
    return found


def check_answer(document: dict[str, Any], route: tuple[str, str], reply: Reply) -> None:
    declared = operation(document, route)["responses"]
    assert str(reply.status) in declared, f"{reply.status} is not declared: {reply.body!r}"
    content = declared[str(reply.status)].get("content")
    if content is None:
        assert reply.body == b""
        return
    (media, inner), *others = content.items()
    assert not others
    assert reply.headers["Content-Type"].replace(" ", "") == media.replace(" ", "")
    if media == "application/json":
        assert faults(reply.json, inner["schema"], document) == []


async def test_document_then_it_is_openapi_and_has_every_route(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"
    found = {(m.upper(), p) for p, operations in document["paths"].items() for m in operations}
    assert found == {(r.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", r.full_path)) for r in all_routes("1")}


async def test_document_then_names_are_unique_and_references_lead_somewhere(document: dict[str, Any]) -> None:
    operations = [o for one in document["paths"].values() for o in one.values()]
    names = [o["operationId"] for o in operations]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    references = set(re.findall(r'#/components/schemas/(\w+)"', str(document).replace("'", '"')))
    assert references <= set(document["components"]["schemas"])
    # Nothing stands there unused, either.
    assert set(document["components"]["schemas"]) == references
    for o in operations:
        assert o["summary"]
        declared = [p["name"] for p in o["parameters"] if p["in"] == "path"]
        assert len(declared) == len(set(declared))


@pytest.mark.parametrize("route", ASKS, ids=" ".join)
async def test_answer_when_all_is_well_then_as_declared(
    route: tuple[str, str], api: Api, services: Services, fake_hub: FakeHub, document: dict[str, Any]
) -> None:
    world = World(services, fake_hub)
    await world.stream_id()
    await world.key_id()
    await world.token_id()
    ask = await ASKS[route](world)
    reply = await api(route[0], ask.path, json=ask.json)
    assert reply.status < 300
    check_answer(document, route, reply)
    if ask.json is not None:
        schema = operation(document, route)["requestBody"]["content"]["application/json"]["schema"]
        assert faults(ask.json, schema, document) == []


@pytest.mark.parametrize("route", ASKS, ids=" ".join)
async def test_answer_when_it_is_an_error_then_as_declared(
    route: tuple[str, str], api: Api, services: Services, fake_hub: FakeHub, document: dict[str, Any]
) -> None:
    """Without a token, for what does not exist, with a bad query or body: all declared, in the common form."""
    ask = await ASKS[route](World(services, fake_hub))
    replies = [await api(route[0], ask.path, json=ask.json, token="sk_" + "x" * 43)]
    nowhere = ask.path.replace("/apps/live", "/apps/nope")
    nowhere = re.sub(r"(/tokens|/ws-ingest|/streams)/[^/]+", r"\1/12345", nowhere)
    replies.append(await api(route[0], nowhere, json=ask.json))
    replies.append(await api(route[0], f"{ask.path}?limit=-1&verbose=maybe", json=ask.json))
    if ask.json is not None:
        replies.append(await api(route[0], ask.path, json={"nonsense": 1}))
        replies.append(await api(route[0], ask.path, body=b"{", headers={"Content-Type": "application/json"}))
        replies.append(await api(route[0], ask.path, body=b"a=b", headers={"Content-Type": "text/plain"}))
        replies.append(await api(route[0], ask.path, json={"name": "x" * 1_100_000}))
        assert [r.status for r in replies[-3:]] == [400, 415, 413]
    for reply in replies:
        check_answer(document, route, reply)


async def test_verbose_health_then_as_declared(api: Api, document: dict[str, Any]) -> None:
    check_answer(document, ("GET", "/api/v1/health"), await api("GET", "/health?verbose=1"))
    refused = await api("GET", "/health?verbose=1", token="")
    assert refused.status == 401
    check_answer(document, ("GET", "/api/v1/health"), refused)


async def test_live_room_then_as_declared_in_both_cases(api: Api, fake_hub: FakeHub, document: dict[str, Any]) -> None:
    route = ("GET", "/api/v1/apps/<app>/ws-ingest/live/<room>")
    check_answer(document, route, await api("GET", "/apps/live/ws-ingest/live/cam1"))
    fake_hub.go_live("live", "live-cam1")
    check_answer(document, route, await api("GET", "/apps/live/ws-ingest/live/cam1"))


async def test_docs_then_a_page_of_every_route_that_loads_nothing(api: Api, document: dict[str, Any]) -> None:
    reply = await api("GET", "/docs", token="")
    page = reply.body.decode()
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert "http:" not in page
    assert "https:" not in page
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
