"""Our server with a livekit-server of its own: joining through our port, dying, stopping."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trio
from livekit.protocol import rtc
from trio_websocket import ConnectionClosed

from tests.support.children import gone
from tests.support.livekit import livekit_env, livekit_pids
from tests.support.server import Server, run_server
from tests.support.waiting import eventually


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose livekit-server is ready."""
    async with run_server(tmp_path, env=livekit_env()) as running:
        await ready(running)
        yield running


async def ready(server: Server) -> None:
    async def check() -> bool:
        return (await livekit_check(server))["ok"] is True

    await eventually(check, within_s=20)


async def livekit_check(server: Server) -> dict[str, object]:
    answer = await server.request("GET", "/api/v1/health?verbose=1")
    return next(c for c in answer.json()["checks"] if c["name"] == "livekit")


async def join_path(server: Server, identity: str = "me") -> str:
    body = {"room": "r1", "identity": identity}
    answer = await server.request("POST", "/api/v1/apps/live/tokens", body)
    assert answer.status == 201, answer.body
    return "/rtc?" + urlencode({"access_token": answer.data["token"], "protocol": 9, "auto_subscribe": 0})


async def test_client_joins_a_room_through_our_port(server: Server) -> None:
    assert "by a livekit-server of its own" in server.output
    async with server.socket(await join_path(server)) as socket:
        with trio.fail_after(10):
            message = await socket.get_message()
    joined = rtc.SignalResponse.FromString(message).join
    assert joined.participant.identity == "me"
    assert joined.server_info.version == "1.13.5"
    urls = [url for one in joined.ice_servers for url in one.urls]
    assert urls
    assert all(re.match(r"stun:127\.0\.0\.1:\d+", url) for url in urls), "no client is sent to a stranger"


async def test_validation_and_unknown_paths_answer_as_livekit_does(server: Server) -> None:
    path = await join_path(server)
    answer = await server.request("GET", path.replace("/rtc?", "/rtc/validate?"), token=None)
    assert (answer.status, answer.body) == (200, b"success")
    refused = await server.request("GET", "/rtc/validate?access_token=forged", token=None)
    assert refused.status == 401
    missing = await server.request("GET", "/rtc/v99", token=None)
    assert (missing.status, missing.headers["content-type"]) == (404, "text/plain; charset=utf-8")


async def test_nothing_else_of_livekit_is_reachable(server: Server) -> None:
    for path in ("/twirp/livekit.RoomService/ListRooms", "/whip/v1", "/agent", "/rtc/../whip/v1", "/rtc/%2e%2e/twirp"):
        answer = await server.request("POST", path, raw=b"{}", token=None)
        assert answer.status in (401, 404, 405), path
        assert answer.json()["code"], f"{path}: the answer is ours"


async def test_sigterm_with_a_client_in_a_room_ends_both_in_time(server: Server) -> None:
    (child,) = livekit_pids(server.pid)
    async with server.socket(await join_path(server)) as socket:
        with trio.fail_after(10):
            await socket.get_message()
        with trio.fail_after(5):
            assert await server.stop() == 0
        assert gone(child)
        with pytest.raises(ConnectionClosed), trio.fail_after(5):
            while True:
                await socket.get_message()


async def test_kill_of_our_process_ends_livekit_too(server: Server) -> None:
    (child,) = livekit_pids(server.pid)
    await server.stop(signal.SIGKILL)
    await eventually(lambda: gone(child), within_s=5)


async def test_livekit_when_killed_then_tokens_say_503_until_it_is_back(server: Server) -> None:
    (child,) = livekit_pids(server.pid)
    os.kill(child, signal.SIGKILL)

    async def told() -> bool:
        answer = await server.request("GET", "/rtc/validate", token=None)
        # At first it may only be found unreachable; from this code on its end is known.
        return answer.status == 503 and answer.json()["code"] == "livekit_down"

    await eventually(told)
    assert (await server.request("GET", "/api/v1/health", token=None)).status == 200
    await ready(server)
    async with server.socket(await join_path(server)) as socket:
        with trio.fail_after(10):
            await socket.get_message()


async def test_log_and_command_lines_hold_no_secret_of_livekit(server: Server) -> None:
    path = await join_path(server)
    async with server.socket(path) as socket:
        await socket.get_message()
    config = (server.data_dir / "livekit.yaml").read_text()
    (secret,) = re.findall(r'"API\w+": "([^"]+)"', config)
    token = re.findall(r"access_token=([^&]+)", path)[0]
    commands = b"".join(p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists())
    for one in (secret, token):
        assert one not in server.log()
        assert one.encode() not in commands


async def test_server_without_livekit_says_what_to_do_and_is_well(tmp_path: Path) -> None:
    async with run_server(tmp_path) as server:
        assert "streamhub livekit install" in server.output
        check = await livekit_check(server)
        assert check["ok"] is None
        answer = await server.request("GET", "/rtc/validate", token=None)
        assert (answer.status, answer.json()["code"]) == (503, "no_livekit")
        assert "STREAMHUB_LIVEKIT_URL" in answer.json()["hint"]


async def test_external_livekit_is_used_and_watched(server: Server, tmp_path: Path) -> None:
    config = (server.data_dir / "livekit.yaml").read_text()
    ((key, secret),) = re.findall(r'"(API\w+)": "([^"]+)"', config)
    port = re.findall(r'"port": (\d+)', config)[0]
    env = {
        "STREAMHUB_LIVEKIT_URL": f"ws://127.0.0.1:{port}",
        "STREAMHUB_LIVEKIT_API_KEY": key,
        "STREAMHUB_LIVEKIT_API_SECRET": secret,
    }
    (tmp_path / "second").mkdir()
    async with run_server(tmp_path / "second", env=env) as second:
        await ready(second)
        assert (await livekit_check(second))["detail"] == "external, version 1.13.5"
        assert livekit_pids(second.pid) == []
        assert "by the livekit-server of STREAMHUB_LIVEKIT_URL" in second.output
        async with second.socket(await join_path(second)) as socket:
            with trio.fail_after(10):
                await socket.get_message()
