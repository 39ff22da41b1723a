"""``/apps/<app>/ingress`` with STREAMHUB_INGRESS=livekit: the contract's shapes, and no key in any of them twice."""

from __future__ import annotations

import json

import attrs
import pytest

from streamhub.errors import Unavailable
from streamhub.livekit.ingresses import NOT_CONNECTED_HINT
from streamhub.services.bundle import Services
from streamhub.services.livekit_ingress import IngressBookRows, LiveKitIngresses
from streamhub.store.db import Store
from streamhub.web.app import Deps, create_app
from tests.fakes.api import Api
from tests.fakes.ingresses import FakeIngresses

NO_REDIS = Unavailable("livekit-server has no Redis", code="ingress_not_connected", hint=NOT_CONNECTED_HINT)


@pytest.fixture
def livekit() -> FakeIngresses:
    return FakeIngresses(worker=True)


@pytest.fixture
def there(services: Services, store: Store, livekit: FakeIngresses) -> LiveKitIngresses:
    watch = services.ingress_watch
    watch.api, watch.book, watch.wanted = livekit, IngressBookRows(store), True
    return LiveKitIngresses(livekit, watch, services.watch.source_status, chosen=True)


def api_with(deps: Deps, token: str, there: LiveKitIngresses) -> Api:
    ingress = attrs.evolve(deps.services.ingress, livekit=there)
    return Api(create_app(attrs.evolve(deps, services=attrs.evolve(deps.services, ingress=ingress))), token)


@pytest.fixture
def api(deps: Deps, admin_token: str, there: LiveKitIngresses) -> Api:
    return api_with(deps, admin_token, there)


async def make(api: Api, kind: str, **fields: object) -> dict[str, object]:
    reply = await api("POST", "/apps/live/ingress", json={"inputType": kind, "room": kind, **fields})
    assert reply.status == 201, reply.body
    data: dict[str, object] = reply.data
    return data


async def test_create_then_the_contracts_answers(api: Api) -> None:
    rtmp, whip = await make(api, "rtmp"), await make(api, "whip")
    pull = await make(api, "url", url="https://me:secret@cam.example/live.m3u8?sig=abc")
    shown = ("url", "streamKey", "stream_key", "whip_url", "rtmp_url", "adaptive", "keyPrefix", "roomName")
    assert [rtmp[k] for k in shown] == [
        "rtmp://lk.example/x",
        "LiveKitKey01",
        "LiveKitKey01",
        None,
        "rtmp://lk.example/x/LiveKitKey01",
        True,
        "Liv",
        "live-rtmp",
    ]
    assert [whip[k] for k in shown] == [
        "https://lk.example/w",
        "LiveKitKey02",
        "LiveKitKey02",
        "https://lk.example/w/LiveKitKey02",
        None,
        False,
        "Liv",
        "live-whip",
    ]
    masked = "https://***@cam.example/live.m3u8?***"
    assert [pull[k] for k in shown] == [masked, None, None, None, None, True, "", "live-url"]
    assert str(rtmp["player_url"]) == "https://hub.example/play/live/live-rtmp"


async def test_list_and_get_then_neither_keys_nor_credentials(api: Api, livekit: FakeIngresses) -> None:
    for kind in ("rtmp", "whip"):
        await make(api, kind)
    made = await make(api, "url", url="https://me:secret@cam.example/live.m3u8?sig=abc")
    listed, one = await api("GET", "/apps/live/ingress"), await api("GET", f"/apps/live/ingress/{made['ingressId']}")
    for reply in (listed, one):
        assert not [w for w in (b"LiveKitKey", b"secret", b"sig=", b"rtmp_url", b'"streamKey"') if w in reply.body]
    assert {r["name"]: (r["inputType"], r["status"], r["lastError"]) for r in listed.data} == {
        "live-rtmp": ("rtmp", "inactive", None),
        "live-whip": ("whip", "inactive", None),
        "live-url": ("url", "inactive", None),
    }
    assert one.data["url"] == "https://***@cam.example/live.m3u8?***"
    assert (await api("GET", f"/apps/other/ingress/{made['ingressId']}")).status == 404
    assert (await api("DELETE", f"/apps/other/ingress/{made['ingressId']}")).status == 404
    assert (await api("DELETE", f"/apps/live/ingress/{made['ingressId']}")).data["deleted"] is True
    assert len(livekit.there) == 2


@pytest.mark.parametrize(
    ("setting", "from_livekit", "url"),
    [
        ("rtmp://media.example:1936", "rtmp://lk.example/x", "rtmp://media.example:1936/live"),
        ("rtmps://media.example/app", "", "rtmps://media.example/app"),
        (None, "rtmp://lk.example/x/", "rtmp://lk.example/x"),
        (None, "", "rtmp://hub.example:1935/live"),
    ],
)
async def test_rtmp_url_then_the_settings_else_livekits_else_by_our_own_host(
    deps: Deps, admin_token: str, there: LiveKitIngresses, setting: str | None, from_livekit: str, url: str
) -> None:
    assert isinstance(there.api, FakeIngresses)
    there.api.rtmp_url = from_livekit
    api = api_with(deps, admin_token, attrs.evolve(there, rtmp_url=setting))
    made = await make(api, "rtmp")
    assert (made["url"], made["rtmp_url"]) == (url, f"{url}/LiveKitKey01")
    (row,) = (await api("GET", "/apps/live/ingress")).data
    assert row["url"] == url


async def test_create_when_livekit_has_no_redis_then_503_that_names_it_and_health_says_so(
    api: Api, livekit: FakeIngresses, services: Services
) -> None:
    livekit.down = NO_REDIS
    for kind in ("rtmp", "whip"):
        reply = await api("POST", "/apps/live/ingress", json={"inputType": kind})
        assert (reply.status, reply.code) == (503, "ingress_not_connected")
        assert "Redis" in reply.json["hint"]
    await services.ingress_watch.look()
    checks = {c["name"]: c for c in (await api("GET", "/health?verbose=1")).json["checks"]}
    assert (checks["ingress"]["ok"], checks["ingress"]["hint"]) == (False, NOT_CONNECTED_HINT)
    livekit.down = None
    await services.ingress_watch.look()
    checks = {c["name"]: c for c in (await api("GET", "/health?verbose=1")).json["checks"]}
    assert checks["ingress"]["ok"] is True


async def test_app_stats_then_its_own_ingresses(api: Api) -> None:
    await make(api, "rtmp")
    await make(api, "whip")
    assert (await api("GET", "/apps/live/stats")).data["ingress"] == {"total": 2, "active": 0}
    assert (await api("GET", "/apps/other/stats")).data["ingress"] == {"total": 0, "active": 0}


async def test_bodies_when_bad_then_every_field_is_named_and_no_secret_repeated(api: Api) -> None:
    body = {"inputType": "url", "url": "rtsp://me:secret@cam.example/1", "streamKey": "burnt-into-the-drone-2024"}
    reply = await api("POST", "/apps/live/ingress", json=body | {"enableTranscoding": False})
    assert (reply.status, set(reply.fields)) == (400, {"url", "streamKey", "enableTranscoding"})
    assert not [w for w in ("secret", "burnt") if w in json.dumps(reply.json)]
