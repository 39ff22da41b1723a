"""What every answer carries, and what the application answers when something is wrong."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest

from streamhub.errors import StoreError
from streamhub.model.urls import Base
from streamhub.services.stats import Stats
from streamhub.web.app import Deps, create_app
from tests.fakes.api import Api

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/health", "/nope", "/apps", "//nothing/here", "//metrics"])
async def test_answer_then_the_security_headers(api: Api, path: str) -> None:
    headers = (await api("GET", path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "Strict-Transport-Security" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(("scheme", "sent"), [("https", "?1"), ("http", None)])
async def test_answer_then_an_agent_cluster_of_its_own_where_browsers_do_not_warn_of_it(
    api: Api, scheme: str, sent: str | None
) -> None:
    reply = await attrs.evolve(api, base=Base(scheme, "hub.example"))("GET", "/health")
    assert reply.headers.get("Origin-Agent-Cluster") == sent


async def test_answer_when_tls_is_ours_then_hsts_without_subdomains(deps: Deps, admin_token: str) -> None:
    api = Api(create_app(attrs.evolve(deps, tls=True)), admin_token)
    assert (await api("GET", "/health")).headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "not_found"),
        ("GET", "/apps/", 404, "not_found"),
        ("GET", "//api/v1//apps", 404, "not_found"),
        ("GET", "//api/v1", 404, "not_found"),
        ("GET", "//other", 404, "not_found"),
        ("PUT", "/apps", 405, "method_not_allowed"),
        ("OPTIONS", "/apps", 405, "method_not_allowed"),
        ("BREW", "/apps", 405, "method_not_allowed"),
    ],
)
async def test_answer_when_there_is_no_such_route_then_json(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    reply = await api(method, path)
    assert (reply.status, reply.code) == (status, code)
    assert reply.headers["Content-Type"] == "application/json"
    if status == 405:
        assert reply.headers["Allow"] == "GET, HEAD, POST"


async def test_head_then_as_get(api: Api) -> None:
    reply = await api("HEAD", "/apps")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{\n "name": "a",\n "x" 1}', "line 3, column 6"),
        (b"{", "line 1, column 2"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": Infinity}', "Infinity"),
        (b'{"name": "a", "name": "b"}', "'name' occurs twice"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"scope": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
async def test_body_when_it_is_not_json_then_400_with_the_place(api: Api, body: bytes, said: str) -> None:
    reply = await api("POST", "/tokens", body=body, headers=JSON)
    assert (reply.status, reply.code) == (400, "bad_json")
    assert said in reply.json["message"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_body_when_of_another_type_then_415(api: Api, kind: str) -> None:
    reply = await api("POST", "/apps", body=b'{"name": "abc"}', headers={"Content-Type": kind} if kind else {})
    assert (reply.status, reply.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/merge-patch+json"]
)
async def test_body_when_json_by_any_name_then_accepted(api: Api, kind: str) -> None:
    reply = await api("POST", "/apps", body=b'{"name": "abc"}', headers={"Content-Type": kind})
    assert reply.status == 201


async def test_body_when_missing_then_the_required_fields_are_named(api: Api) -> None:
    reply = await api("POST", "/tokens")
    assert (reply.status, reply.fields) == (400, {"name": "is required", "scope": "is required"})


async def test_body_when_larger_than_a_megabyte_then_413(api: Api) -> None:
    reply = await api("POST", "/apps", body=b" " * (1024 * 1024 + 1), headers=JSON)
    assert (reply.status, reply.code) == (413, "too_large")
    assert (await api("POST", "/apps", body=b'{"name": "abc"}' + b" " * 1_000_000, headers=JSON)).status == 201


async def test_unauthorized_then_the_body_is_not_even_looked_at(api: Api) -> None:
    reply = await api("POST", "/apps", body=b"{", headers=JSON, token="sk_" + "x" * 43)
    assert reply.status == 401


async def test_metrics_when_the_metrics_token_is_shown_then_text(deps: Deps, admin_token: str) -> None:
    api = Api(create_app(attrs.evolve(deps, metrics_token="scrape-me-scrape-me")), admin_token)
    await api("GET", "/apps/live")
    await api("BREW", "/apps")
    reply = await api("GET", "//metrics", token="scrape-me-scrape-me")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = reply.body.decode()
    assert 'streamhub_http_requests_total{method="GET",route="/api/v1/apps/:app",status="200"} 1.0' in text
    # What strangers make up must not become labels.
    assert "BREW" not in text
    assert "streamhub_apps 2.0" in text
    for wrong in ("scrape-me-scrape-mf", ""):
        reply = await api("GET", "//metrics", token=wrong)
        assert (reply.status, reply.code) == (403, "metrics_token_wrong")
    assert (await api("GET", "//metrics")).status == 200


async def test_metrics_when_no_metrics_token_is_set_then_404_that_says_how_to_get_them(api: Api) -> None:
    for wrong in ("scrape-me-scrape-mf", ""):
        reply = await api("GET", "//metrics", token=wrong)
        assert (reply.status, reply.code) == (404, "no_metrics_token")
        assert "STREAMHUB_METRICS_TOKEN" in reply.json["hint"]


async def test_metrics_when_the_database_fails_then_the_rest_of_them(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: Stats) -> int:
        raise StoreError("the disk is gone", code="store_io")

    monkeypatch.setattr(Stats, "apps", broken)
    api = Api(create_app(attrs.evolve(deps, metrics_token="scrape-me-scrape-me")), "")
    reply = await api("GET", "//metrics", token="scrape-me-scrape-me")
    assert reply.status == 200
    assert b"streamhub_apps NaN" in reply.body


class TestCors:
    @pytest.fixture
    def listed(self, deps: Deps, admin_token: str) -> Api:
        return Api(create_app(attrs.evolve(deps, cors_origins=("https://ha.example",))), admin_token)

    @pytest.fixture
    def open_to_all(self, deps: Deps, admin_token: str) -> Api:
        return Api(create_app(attrs.evolve(deps, cors_origins=("*",))), admin_token)

    ASK: ClassVar = {"Origin": "https://ha.example", "Access-Control-Request-Method": "PATCH"}

    async def test_preflight_when_the_origin_is_listed_then_answered_without_a_token(self, listed: Api) -> None:
        reply = await listed("OPTIONS", "/apps/live", token="", headers=self.ASK)
        assert (reply.status, reply.body) == (204, b"")
        assert reply.headers["Access-Control-Allow-Origin"] == "https://ha.example"
        assert "PATCH" in reply.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
        assert "Origin" in reply.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in reply.headers

    async def test_answer_when_the_origin_is_listed_then_readable_errors_too(self, listed: Api) -> None:
        for path, token in (("/apps", None), ("/apps", "sk_" + "x" * 43), ("/nope", None)):
            reply = await listed("GET", path, token=token, headers={"Origin": "https://ha.example"})
            assert reply.headers["Access-Control-Allow-Origin"] == "https://ha.example"

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "https://ha.example.evil.example", "null", "http://ha.example"]
    )
    async def test_answer_when_the_origin_is_not_listed_then_not_readable(self, listed: Api, origin: str) -> None:
        for method, path in (("GET", "/apps"), ("OPTIONS", "/apps")):
            reply = await listed(method, path, headers={**self.ASK, "Origin": origin})
            assert "Access-Control-Allow-Origin" not in reply.headers
            # Or a cache would give this answer to a listed origin.
            assert "Origin" in reply.headers["Vary"]

    async def test_answer_when_all_origins_are_let_in_then_a_star(self, open_to_all: Api) -> None:
        reply = await open_to_all("GET", "/apps", headers={"Origin": "https://any.example"})
        assert reply.headers["Access-Control-Allow-Origin"] == "*"

    async def test_answer_when_outside_the_api_then_untouched(self, open_to_all: Api) -> None:
        reply = await open_to_all("GET", "//metrics", headers={"Origin": "https://any.example"})
        assert "Access-Control-Allow-Origin" not in reply.headers
