"""Viewers of a large room in a process of their own, on the real server: who notices what when a process is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.support.children import gone
from tests.support.livekit import children
from tests.support.peer import HttpPeer, connect
from tests.support.server import Server, run_server
from tests.support.waiting import eventually

# The real server, but for the number from which on a room is large.
LARGE = 4
PROGRAM = [
    sys.executable,
    "-c",
    f"import streamhub.rooms.passed_on as p; p.PASS_ON_FROM = {LARGE}; from streamhub.cli import main; main()",
]
PATH = "/live/live/cam1/mjpeg"
METRICS = "a-metrics-token-for-this"


@asynccontextmanager
async def watching(server: Server, count: int) -> AsyncIterator[list[HttpPeer]]:
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(server.port)) for _ in range(count)]
        for peer in peers:
            await peer.watch(PATH)
        yield peers


async def metric(server: Server, name: str) -> float:
    text = (await server.request("GET", "/metrics", token=METRICS)).body.decode()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


async def working(server: Server) -> bool:
    checks = (await server.request("GET", "/api/v1/health?verbose=1")).json()["checks"]
    return any(c["name"] == "viewer_workers" and c["ok"] for c in checks)


async def moves(peer: HttpPeer) -> None:
    first = await peer.part()
    while await peer.part() == first:
        pass


async def reads_to_its_end(peer: HttpPeer) -> None:
    while await peer.more():
        pass


async def test_large_room_when_processes_are_killed_then_others_go_on_and_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.server.PROGRAM", PROGRAM)
    env = {"STREAMHUB_VIEWER_WORKERS": "1", "STREAMHUB_METRICS_TOKEN": METRICS}
    async with run_server(tmp_path, env=env) as server:
        await eventually(lambda: working(server), within_s=30)
        (worker,) = children(server.pid)
        async with server.camera("cam1"), watching(server, LARGE) as ours:
            async with watching(server, 3) as theirs:
                for peer in (*ours, *theirs):
                    await moves(peer)
                assert await metric(server, "streamhub_viewer_workers_viewers ") == 3
                assert await metric(server, 'streamhub_stream_viewers{app="live",room="live-cam1"}') == LARGE + 3
                await eventually(lambda: sent(server))
                os.kill(worker, signal.SIGKILL)
                with trio.fail_after(10):
                    for peer in theirs:
                        await reads_to_its_end(peer)
            for peer in ours:
                await moves(peer)
            await eventually(lambda: working(server), within_s=30)
            assert "viewer worker lost" in server.log()
            (second,) = children(server.pid)
            assert second != worker
            async with watching(server, 2) as again:
                for peer in again:
                    await moves(peer)
                assert await metric(server, "streamhub_viewer_workers_viewers ") == 2
                change = {"features": {"publicPlayback": False}}
                assert (await server.request("PATCH", "/api/v1/apps/live", change)).status == 200
                with trio.fail_after(10):
                    for peer in (*ours, *again):
                        await reads_to_its_end(peer)
                assert await metric(server, "streamhub_viewer_workers_viewers ") == 0
        os.kill(server.pid, signal.SIGKILL)
        await eventually(lambda: gone(second))
        assert server.process is not None
        await server.process.wait()
        await server.start()
        await eventually(lambda: working(server), within_s=30)
        (third,) = children(server.pid)
        assert await server.stop() == 0
        assert gone(third)
        assert "viewer worker lost" not in server.log().rpartition('"stopping"')[2]


async def sent(server: Server) -> bool:
    return await metric(server, "streamhub_viewer_workers_pictures_total ") > 0
