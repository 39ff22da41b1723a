"""Streams follow the real livekit-server: its own webhooks, none of them, its death."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import trio

from tests.e2e.rooms.conftest import livekit_ready
from tests.support.livekit import livekit_env
from tests.support.rtc import rtc_peer
from tests.support.server import Server, run_server
from tests.support.waiting import eventually

STREAMS = "/api/v1/apps/live/streams"
PERIOD_S = 5.0


async def mint(server: Server, identity: str, **asked: Any) -> tuple[str, str]:
    body = {"room": "demo", "identity": identity, **asked}
    data = (await server.request("POST", "/api/v1/apps/live/tokens", body)).data
    return data["wsUrl"], data["token"]


async def streams(server: Server) -> dict[str, dict[str, Any]]:
    """The active ones by participant."""
    return {s["participant"]: s for s in (await server.request("GET", STREAMS)).data}


async def listed(server: Server, expected: set[str], within_s: float) -> None:
    async def check() -> bool:
        return set(await streams(server)) == expected

    await eventually(check, within_s)


async def test_stream_when_somebody_publishes_then_listed_by_the_webhook_and_gone_when_they_stop(hub: Server) -> None:
    async with rtc_peer(*await mint(hub, "ann")) as ann, rtc_peer(*await mint(hub, "bob")) as bob:
        await ann.said("joined")
        await bob.said("joined")
        assert await streams(hub) == {}
        await ann.do("publish", kind="video")
        await ann.do("publish", kind="audio")
        await bob.said("frames", who="ann", count=10)
        # The webhook came at the first packet: sooner than any timer.
        found = (await streams(hub))["ann"]
        assert (found["streamId"], found["type"], found["room"]) == ("live-demo/ann", "webrtc", "live-demo")
        assert (found["status"], found["state"], found["fps"]) == ("active", "live", None)
        await eventually(lambda: _size(hub, 320), within_s=PERIOD_S + 20)
        assert (await streams(hub))["ann"]["viewers"] == {"webrtc": 1, "hls": 0, "mjpeg": 0, "ws": 0}
        await ann.do("unpublish")
        await listed(hub, set(), within_s=PERIOD_S + 20)
        ended = (await hub.request("GET", f"{STREAMS}/live-demo%2Fann")).data
        assert (ended["status"], ended["endReason"]) == ("ended", "closed")


async def _size(server: Server, width: int) -> bool:
    found = (await streams(server)).get("ann")
    return found is not None and found["width"] == width


async def test_stream_when_deleted_then_its_participant_is_put_out(hub: Server) -> None:
    async with rtc_peer(*await mint(hub, "ann")) as ann:
        await ann.do("publish", kind="video")
        await listed(hub, {"ann"}, within_s=PERIOD_S + 20)
        answer = await hub.request("DELETE", f"{STREAMS}/live-demo%2Fann")
        assert answer.status == 204
        assert await streams(hub) == {}
        assert (await ann.said("disconnected"))["reason"] == "PARTICIPANT_REMOVED"
        await trio.sleep(PERIOD_S + 1)  # no look that was under way brings it back
        assert await streams(hub) == {}
        ended = (await hub.request("GET", f"{STREAMS}/live-demo%2Fann")).data
        assert ended["endReason"] == "deleted"


async def test_streams_when_no_webhook_arrives_then_the_timer_finds_them(tmp_path: Path) -> None:
    """An external LiveKit that knows nothing of us: it never calls."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with run_server(tmp_path / "one", env=livekit_env()) as owner:
        await livekit_ready(owner)
        config = (owner.data_dir / "livekit.yaml").read_text()
        port, keys = json.loads(config)["port"], json.loads(config)["keys"]
        ((key, secret),) = keys.items()
        external = {
            "STREAMHUB_LIVEKIT_URL": f"http://127.0.0.1:{port}",
            "STREAMHUB_LIVEKIT_API_KEY": key,
            "STREAMHUB_LIVEKIT_API_SECRET": secret,
        }
        async with run_server(tmp_path / "two", env=external) as follower:
            await livekit_ready(follower)
            async with rtc_peer(*await mint(follower, "ann")) as ann:
                await ann.do("publish", kind="audio")
                await ann.said("published")
                await listed(follower, {"ann"}, within_s=PERIOD_S + 20)
            await listed(follower, set(), within_s=PERIOD_S + 20)


async def test_livekit_when_killed_then_nothing_is_called_live_and_all_is_well_when_it_is_back(hub: Server) -> None:
    async with rtc_peer(*await mint(hub, "ann")) as ann, rtc_peer(*await mint(hub, "bob")) as bob:
        await ann.do("publish", kind="video")
        await listed(hub, {"ann"}, within_s=PERIOD_S + 20)
        await bob.said("frames", who="ann", count=10)
        os.kill(livekit_pid(hub), signal.SIGKILL)

        async def not_live() -> bool:
            return all(s["state"] != "live" for s in (await streams(hub)).values())

        await eventually(not_live, within_s=PERIOD_S + 20)
        # The client comes back by itself, to the new livekit-server on the same port of ours.
        await listed(hub, {"ann"}, within_s=60)
        await eventually(lambda: _state(hub, "live"), within_s=PERIOD_S + 20)


async def _state(server: Server, state: str) -> bool:
    return {s["state"] for s in (await streams(server)).values()} == {state}


async def test_stop_when_somebody_publishes_then_the_row_ends_and_the_exit_is_prompt(hub: Server) -> None:
    async with rtc_peer(*await mint(hub, "ann")) as ann:
        await ann.do("publish", kind="video")
        await listed(hub, {"ann"}, within_s=PERIOD_S + 20)
        before = trio.current_time()
        assert await hub.stop() == 0
        assert trio.current_time() - before < 5
    await hub.start()
    ended = (await hub.request("GET", f"{STREAMS}/live-demo%2Fann")).data
    assert (ended["status"], ended["endReason"]) == ("ended", "server_stopping")


def livekit_pid(server: Server) -> int:
    """The livekit-server below our server's guard."""
    config = str(server.data_dir / "livekit.yaml")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if config in words and words[0].endswith("livekit-server"):
                return int(entry.name)
    raise AssertionError("no livekit-server runs")
