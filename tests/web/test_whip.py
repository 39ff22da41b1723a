"""``/whip`` over HTTP, with services on a real store and a scripted LiveKit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamhub.livekit.tokens import LiveKitKeys
from streamhub.observe.metrics import Metrics
from streamhub.services.bundle import Services, build_services
from streamhub.services.sealing import SecretBox
from streamhub.store.db import Store
from streamhub.web.app import Deps, create_app
from tests.conftest import Clock
from tests.fakes.api import Api, Reply
from tests.fakes.hub import FakeHub
from tests.fakes.ledger import DirectLedger
from tests.fakes.whip import ScriptedLiveKit
from tests.support.offers import ANSWER, OBS_30
from tests.wire.test_trickle import AUDIO

SDP = {"Content-Type": "application/sdp"}
TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}


@pytest.fixture
def livekit() -> ScriptedLiveKit:
    return ScriptedLiveKit()


@pytest.fixture
async def api(
    services: Services,
    store: Store,
    fake_hub: FakeHub,
    wall: Clock,
    livekit_keys: LiveKitKeys,
    livekit: ScriptedLiveKit,
    tmp_path: Path,
    admin_token: str,
) -> Api:
    built = build_services(
        store,
        fake_hub,
        DirectLedger(store),
        box=SecretBox(b"k" * 32),
        livekit=livekit_keys,
        data_dir=tmp_path,
        now=wall,
        server=livekit.server(),
    )
    return Api(create_app(Deps(services=built, hub=fake_hub, metrics=Metrics(), version="1")), admin_token)


async def made(api: Api, **fields: Any) -> dict[str, Any]:
    reply = await api("POST", "/apps/live/ingress", json={"inputType": "whip", "room": "obs", **fields})
    assert reply.status == 201
    data: dict[str, Any] = reply.data
    return data


async def post(api: Api, key: str, offer: str = OBS_30, path: str = "//whip", **headers: str) -> Reply:
    return await api("POST", path, body=offer.encode(), headers={**SDP, **headers}, token=key)


async def test_post_then_201_with_all_that_rfc_9725_asks_for(api: Api, livekit: ScriptedLiveKit) -> None:
    key = (await made(api))["streamKey"]
    reply = await post(api, key)
    assert (reply.status, reply.body.decode()) == (201, ANSWER)
    headers = reply.headers
    assert headers["Content-Type"] == "application/sdp"
    assert headers["ETag"] == '"EtAg1"'
    location = headers["Location"]
    assert location.startswith("/whip/sessions/whs_")
    assert len(location.removeprefix("/whip/sessions/whs_")) == 32
    assert "PA_1" not in location
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert {"Location", "ETag", "Link"} <= {h.strip() for h in headers["Access-Control-Expose-Headers"].split(",")}
    assert headers["Cache-Control"] == "no-store"
    assert livekit.asked[0].claims["video"]["room"] == "live-obs"


async def test_post_with_the_key_in_the_path_then_the_same(api: Api) -> None:
    one = await made(api)
    path = "/" + one["whip_url"].removeprefix("https://hub.example")
    assert (await post(api, "", path=path)).status == 201
    assert (await post(api, "whatever", path=path + "/")).status == 201


async def test_patch_and_delete_then_the_session_is_used_and_over(api: Api, livekit: ScriptedLiveKit) -> None:
    key = (await made(api))["streamKey"]
    started = await post(api, key)
    path = "/" + started.headers["Location"]
    body = f"a=ice-ufrag:fZ8K\r\na=ice-pwd:S9nGw0XcYQp4TzKd7LrJmB\r\n{AUDIO}".encode()
    patch = await api("PATCH", path, body=body, headers={**TRICKLE, "If-Match": started.headers["ETag"]}, token=key)
    assert (patch.status, patch.body) == (204, b"")
    # The address of the session is a secret of its own: encoders that forget the key on DELETE still leave properly.
    assert (await api("DELETE", path, token="")).status == 200
    assert livekit.methods == ["POST", "PATCH", "DELETE"]
    assert (await api("DELETE", path, token=key)).status == 404


async def test_restart_and_missing_etag_then_their_own_statuses(api: Api, livekit: ScriptedLiveKit) -> None:
    key = (await made(api))["streamKey"]
    path = "/" + (await post(api, key)).headers["Location"]
    body = f"a=ice-ufrag:NEW0\r\na=ice-pwd:S9nGw0XcYQp4TzKd7LrJmB\r\n{AUDIO}".encode()
    found = {
        match: (
            await api(
                "PATCH", path, body=body, headers={**TRICKLE, **({"If-Match": match} if match else {})}, token=key
            )
        )
        for match in ("*", "", '"other"')
    }
    assert {m: r.status for m, r in found.items()} == {"*": 422, "": 428, '"other"': 422}
    assert found["*"].headers["Access-Control-Allow-Origin"] == "*"
    assert livekit.methods == ["POST"]


async def test_session_when_asked_for_with_another_key_then_403(api: Api) -> None:
    one, other = await made(api), await made(api, room="two")
    path = "/" + (await post(api, one["streamKey"])).headers["Location"]
    assert (await api("DELETE", path, token=other["streamKey"])).status == 403
    assert (await api("DELETE", path, token=one["streamKey"])).status == 200


@pytest.mark.parametrize("path", ["//whip", "//whip/stk_x"])
async def test_options_then_browsers_may_ask(api: Api, path: str) -> None:
    reply = await api(
        "OPTIONS", path, token="", headers={"Origin": "https://x", "Access-Control-Request-Method": "POST"}
    )
    assert reply.status == 204
    assert reply.headers["Accept-Post"] == "application/sdp"
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type", "if-match"} <= {
        h.strip().lower() for h in reply.headers["Access-Control-Allow-Headers"].split(",")
    }
    session = await api("OPTIONS", "//whip/sessions/whs_x", token="")
    assert {"PATCH", "DELETE"} <= {m.strip() for m in session.headers["Access-Control-Allow-Methods"].split(",")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_other_methods_then_405_that_names_the_right_one(api: Api, method: str) -> None:
    reply = await api(method, "//whip", token="")
    assert (reply.status, reply.headers["Allow"]) == (405, "OPTIONS, POST")
    if method in ("GET", "HEAD", "PUT"):
        session = await api(method, "//whip/sessions/whs_x", token="")
        assert (session.status, session.headers["Allow"]) == (405, "DELETE, OPTIONS, PATCH")


async def test_post_without_a_good_key_then_401_and_it_says_how(api: Api, livekit: ScriptedLiveKit) -> None:
    for key, code in (("", "stream_key_required"), ("stk_" + "x" * 32, "stream_key_invalid")):
        reply = await post(api, key)
        assert (reply.status, reply.code) == (401, code)
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
    camera = (await api("POST", "/apps/live/ws-ingest", json={"room": "cam"})).data["streamKey"]
    assert (await post(api, camera)).status == 401
    assert (await post(api, api.token or "")).status == 401
    assert livekit.asked == []


async def test_post_when_switched_off_rotated_or_deleted_then_refused(api: Api, livekit: ScriptedLiveKit) -> None:
    one = await made(api)
    path = f"/apps/live/ingress/{one['ingressId']}"
    assert (await api("PATCH", path, json={"enabled": False})).data["enabled"] is False
    assert (await post(api, one["streamKey"])).code == "ingress_disabled"
    await api("PATCH", path, json={"enabled": True})
    assert (await post(api, one["streamKey"])).status == 201
    again = (await api("POST", f"{path}/rotate")).data
    assert livekit.methods == ["POST", "DELETE"]  # whoever published by the old key is out
    assert (await post(api, one["streamKey"])).status == 401
    started = await post(api, again["streamKey"])
    await api("DELETE", path)
    assert livekit.methods == ["POST", "DELETE", "POST", "DELETE"]
    assert (await post(api, again["streamKey"])).status == 401
    assert (await api("DELETE", "/" + started.headers["Location"], token="")).status == 404


async def test_post_when_the_body_is_too_large_or_of_another_type_then_413_or_415(
    api: Api, livekit: ScriptedLiveKit
) -> None:
    key = (await made(api))["streamKey"]
    assert (await post(api, key, OBS_30 + "a=x\r\n" * 14_000)).status == 413
    assert (await post(api, key, **{"Content-Type": "application/json"})).status == 415
    assert (await post(api, key, "")).code == "bad_sdp"
    assert (await post(api, key, **{"Content-Type": "Application/SDP; charset=utf-8"})).status == 201
    assert livekit.asked[0].headers["Content-Type"] == "application/sdp"


async def test_post_without_livekit_then_503_with_what_to_do(
    services: Services, fake_hub: FakeHub, admin_token: str
) -> None:
    api = Api(create_app(Deps(services=services, hub=fake_hub, metrics=Metrics(), version="1")), admin_token)
    reply = await post(api, (await made(api))["streamKey"])
    assert (reply.status, reply.code) == (503, "no_livekit")
    assert "livekit" in reply.json["hint"]


async def test_post_when_livekit_is_too_old_then_503_that_says_so(api: Api, livekit: ScriptedLiveKit) -> None:
    key = (await made(api))["streamKey"]
    livekit.last.set_ready("http://livekit.test:7880", "1.8.4")
    reply = await post(api, key)
    assert (reply.status, reply.code) == (503, "livekit_too_old")
    assert "1.9.1" in reply.json["hint"]
