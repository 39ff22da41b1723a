"""A whole installation behind a reverse proxy: camera in, pictures out, and every URL as the outside sees it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import h11
import pytest
import trio
from trio_websocket import open_websocket_url

from streamhub.simulator.camera import CameraOptions, CameraState, run_camera
from streamhub.simulator.picture import test_picture
from streamhub.simulator.target import parse_target
from tests.e2e.peers.arduino import TEXT, Device
from tests.e2e.peers.proxies import NGINX_BARE_LINES, Proxy, open_caddy, open_nginx
from tests.e2e.peers.test_players import run
from tests.simulator.peer import Log
from tests.support.media import jpeg
from tests.support.server import Answer, Server, exchange, run_server
from tests.support.waiting import eventually

PROXIES: dict[str, Callable[[Server, Path], AbstractAsyncContextManager[Proxy]]] = {
    "nginx": open_nginx,
    "nginx-tls": partial(open_nginx, tls=True),
    "caddy": partial(open_caddy, tls=False),
    "caddy-tls": partial(open_caddy, tls=True),
}
# Only the proxy's own address: other loopback addresses then stand for clients elsewhere.
CLIENT = "127.0.0.9"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Server]:
    async with run_server(tmp_path, env={"STREAMHUB_TRUSTED_PROXIES": "127.0.0.1"}) as server:
        yield server


@pytest.fixture(params=PROXIES)
async def proxy(hub: Server, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Proxy]:
    async with PROXIES[request.param](hub, tmp_path / "proxy") as running:
        yield running


async def call(
    proxy: Proxy,
    token: str | None,
    method: str,
    path: str,
    body: object = None,
    *,
    source_ip: str = "127.0.0.1",
    headers: Mapping[str, str] = {},
) -> Answer:
    """One request through the proxy."""
    payload = b"" if body is None else json.dumps(body).encode()
    sent = [("Host", proxy.netloc), ("Connection", "close"), ("Content-Length", str(len(payload))), *headers.items()]
    if token:
        sent.append(("Authorization", f"Bearer {token}"))
    if body is not None:
        sent.append(("Content-Type", "application/json"))
    with trio.fail_after(20):
        async with await proxy.connect(source_ip) as stream:
            return await exchange(stream, h11.Request(method=method, target=path, headers=sent), payload)


async def make_key(hub: Server, proxy: Proxy, room: str = "cam1") -> dict[str, Any]:
    answer = await call(proxy, hub.admin_token, "POST", "/api/v1/apps/live/ws-ingest", {"room": room})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.data
    return made


def urls_in(value: object) -> list[str]:
    """Every URL anywhere in a JSON value."""
    return re.findall(r"(?:https?|wss?)://[^\s\"'<>\\]+", json.dumps(value))


async def test_urls_when_a_key_is_made_through_the_proxy_then_all_name_the_proxy(hub: Server, proxy: Proxy) -> None:
    found = urls_in(await make_key(hub, proxy))
    assert len(found) >= 4
    for url in found:
        assert url.startswith((f"{proxy.base_url}/", f"{proxy.ws_url}/")), url
    openapi = await call(proxy, None, "GET", "/api/v1/openapi.json")
    for url in (entry["url"] for entry in openapi.json()["servers"]):
        assert url.startswith(("/", proxy.base_url)), url


async def test_camera_when_it_uses_the_printed_url_then_streams_through_the_proxy(
    hub: Server, proxy: Proxy, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    if proxy.authority:
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.authority))
    made = await make_key(hub, proxy)
    target, _ = parse_target(made["wsUrl"])
    assert (target.tls, target.port) == (proxy.scheme == "https", proxy.port)
    log = Log()
    options = CameraOptions(target=target, key=made["streamKey"], fps=10)
    nursery.start_soon(partial(run_camera, options, test_picture((320, 240), "cam1"), report=log))

    async def shown() -> bool:
        answer = await call(proxy, None, "GET", "/live/live/cam1/frame.jpg")
        return answer.status == 200 and answer.body.startswith(b"\xff\xd8")

    await eventually(shown)
    await eventually(lambda: log.last.sent >= 15)
    assert log.last.state is CameraState.STREAMING
    assert log.last.reconnects == 0
    nursery.cancel_scope.cancel()


async def watch(proxy: Proxy, stream: trio.abc.Stream, pictures: trio.MemorySendChannel[bytes]) -> None:
    """Read MJPEG through the proxy as a browser does, part by part."""
    client = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target="/live/live/cam1/mjpeg", headers=[("Host", proxy.netloc)])
    await stream.send_all((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
    data = b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(bytes(await stream.receive_some(65536)))
        elif isinstance(event, h11.Response):
            assert event.status_code == 200
        elif isinstance(event, h11.Data):
            data += bytes(event.data)
            while found := re.search(rb"Content-Length: (\d+)\r\n\r\n", data):
                end = found.end() + int(found[1])
                if len(data) < end:
                    break
                await pictures.send(data[found.end() : end])
                data = data[end:]
        else:
            raise AssertionError(event)


async def play_in_step(hub: Server, proxy: Proxy, key: str) -> None:
    """Send a picture, see it at the other end of the proxy, send the next: nothing may wait in a buffer."""
    send, receive = trio.open_memory_channel[bytes](10)
    async with (
        hub.camera_socket("cam1", key) as camera,
        await proxy.connect() as stream,
        trio.open_nursery() as nursery,
    ):
        await camera.send_message(jpeg(0))
        nursery.start_soon(watch, proxy, stream, send)
        with trio.fail_after(10):
            assert await receive.receive() == jpeg(0)
        for shade in range(20, 220, 20):
            await camera.send_message(jpeg(shade))
            with trio.fail_after(2):
                while await receive.receive() != jpeg(shade):
                    pass
        nursery.cancel_scope.cancel()


async def test_mjpeg_when_watched_through_the_proxy_then_each_small_picture_comes_at_once(
    hub: Server, proxy: Proxy
) -> None:
    await play_in_step(hub, proxy, (await make_key(hub, proxy))["streamKey"])


async def test_mjpeg_when_nginx_has_only_proxy_pass_then_still_comes_at_once(hub: Server, tmp_path: Path) -> None:
    key = await hub.make_key("cam1")
    async with open_nginx(hub, tmp_path / "proxy", lines=NGINX_BARE_LINES) as proxy:
        await play_in_step(hub, proxy, key)
        assert (await call(proxy, None, "GET", "/api/v1/health")).status == 200
        assert (await call(proxy, None, "GET", "/play/live/cam1")).status == 200
        assert (await call(proxy, hub.admin_token, "GET", "/api/v1/apps")).status == 200


async def test_viewer_socket_when_opened_through_the_proxy_then_shows_state_and_pictures(
    hub: Server, proxy: Proxy
) -> None:
    key = (await make_key(hub, proxy))["streamKey"]
    url = f"{proxy.ws_url}/live/ws?app=live&room=cam1"
    with trio.fail_after(20):
        async with hub.camera_socket("cam1", key) as camera, open_websocket_url(url, proxy.tls) as viewer:
            await camera.send_message(jpeg(50))
            seen: list[str | bytes] = []
            while jpeg(50) not in seen:
                seen.append(await viewer.get_message())
    states = [json.loads(m)["state"] for m in seen if isinstance(m, str)]
    assert states[-1] == "live"


async def test_device_when_it_comes_through_nginx_then_accepts_the_handshake(hub: Server, tmp_path: Path) -> None:
    key = await hub.make_key("cam1")
    async with open_nginx(hub, tmp_path / "proxy") as proxy:
        with trio.fail_after(20):
            async with await proxy.connect() as stream:
                device = Device(stream)
                url = "/ingest/ws?app=live&room=cam1"
                headers = await device.connect(url, proxy.host, proxy.port, auth=f"Bearer {key}")
                assert headers["sec-websocket-protocol"] == "arduino"
                opcode, text = await device.receive()
                assert (opcode, json.loads(text)["type"]) == (TEXT, "ready")


async def test_client_address_when_a_token_is_bound_to_it_then_is_the_proxys_client_and_not_what_it_claims(
    hub: Server, proxy: Proxy
) -> None:
    answer = await hub.request("POST", "/api/v1/tokens", {"name": "bound", "scope": "global", "allowedIps": [CLIENT]})
    assert answer.status == 201, answer.body
    token = answer.data["token"]
    assert (await call(proxy, token, "GET", "/api/v1/apps", source_ip=CLIENT)).status == 200
    claims = {"X-Forwarded-For": CLIENT, "Forwarded": f"for={CLIENT}", "X-Real-IP": CLIENT}
    for source_ip in ("127.0.0.7", "127.0.0.8"):
        assert (await call(proxy, token, "GET", "/api/v1/apps", source_ip=source_ip)).status in (401, 403)
        refused = await call(proxy, token, "GET", "/api/v1/apps", source_ip=source_ip, headers=claims)
        assert refused.status in (401, 403)


async def test_nginx_when_it_reaches_the_server_by_a_unix_socket_then_its_headers_count(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    env = {"STREAMHUB_HTTP_BIND": f"127.0.0.1:0,unix:{path}", "STREAMHUB_TRUSTED_PROXIES": "127.0.0.1"}
    async with run_server(tmp_path, env=env) as server, open_nginx(server, tmp_path / "proxy", unix=path) as proxy:
        made = await make_key(server, proxy)
        assert all(url.startswith((proxy.base_url, proxy.ws_url)) for url in urls_in(made))
        await play_in_step(server, proxy, made["streamKey"])
        bound = {"name": "bound", "scope": "global", "allowedIps": [CLIENT]}
        token = (await server.request("POST", "/api/v1/tokens", bound)).data["token"]
        assert (await call(proxy, token, "GET", "/api/v1/apps", source_ip=CLIENT)).status == 200
        assert (await call(proxy, token, "GET", "/api/v1/apps", source_ip="127.0.0.7")).status in (401, 403)


async def test_scheme_and_host_when_a_client_claims_others_then_urls_keep_the_proxys(
    hub: Server, tmp_path: Path
) -> None:
    claims = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    async with open_caddy(hub, tmp_path / "proxy", tls=False) as proxy:
        answer = await call(
            proxy,
            hub.admin_token,
            "POST",
            "/api/v1/apps/live/ws-ingest",
            {"room": "cam1"},
            source_ip=CLIENT,
            headers=claims,
        )
        assert answer.status == 201
        assert "evil.example" not in answer.body.decode()
        assert all(url.startswith((proxy.base_url, proxy.ws_url)) for url in urls_in(answer.data))


async def test_curl_when_it_speaks_http2_to_caddy_then_mjpeg_moves(hub: Server, tmp_path: Path) -> None:
    async with open_caddy(hub, tmp_path / "proxy", tls=True) as proxy, hub.camera("cam1"):
        url = f"{proxy.base_url}/live/live/cam1/mjpeg"
        timed_out = 28
        command = ["curl", "-sSNi", "--http2", "--cacert", str(proxy.authority), "--max-time", "2", url]
        data = await run(*command, code=timed_out)
    assert data.startswith(b"HTTP/2 200")
    assert data.count(b"Content-Type: image/jpeg") >= 12


async def test_plain_http_when_sent_to_a_server_behind_tls_then_hsts_is_left_to_the_proxy(
    hub: Server, proxy: Proxy
) -> None:
    answer = await call(proxy, None, "GET", "/")
    assert answer.status == 200
    assert "strict-transport-security" not in answer.headers
