"""Cameras that send JPEGs: by WebRTC and HLS while somebody wants them, with real clients on both ends."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.e2e.relays.conftest import decodes, workers
from tests.e2e.rooms.conftest import livekit_ready
from tests.e2e.whip.conftest import stream_types, viewer_of
from tests.support.clips import jpegs
from tests.support.rtc import rtc_peer
from tests.support.server import Server
from tests.support.waiting import eventually

WITHIN_S = 60


def hls(server: Server, room: str) -> str:
    return f"{server.base_url}/hls/live/{room}/index.m3u8"


async def identity_of(server: Server, room: str) -> str:
    rows = (await server.request("GET", "/api/v1/apps/live/streams")).data
    (found,) = (row["participant"] for row in rows if row["room"] == f"live-{room}")
    return str(found)


@asynccontextmanager
async def camera_device(server: Server, room: str) -> AsyncIterator[None]:
    """A device that dials again for ever."""
    key = await server.make_key(room)
    words = ["camera", f"127.0.0.1:{server.port}", "--room", room, "--size", "320x240"]
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "streamhub", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STREAMHUB_CAMERA_KEY": key},
    )
    try:
        await eventually(lambda: server.shows(room), WITHIN_S)
        yield
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def camera(server: Server, room: str, size: tuple[int, int] = (320, 240)) -> AsyncIterator[list[bytes]]:
    """A camera that delivers; the pictures it sends may be exchanged."""
    sent, key = jpegs(size=size), await server.make_key(room)
    async with server.camera_socket(room, key) as socket, trio.open_nursery() as nursery:

        async def send() -> None:
            for n in itertools.count():
                await socket.send_message(sent[n % len(sent)])
                await trio.sleep(0.1)

        nursery.start_soon(send)
        await eventually(lambda: server.shows(room), WITHIN_S)
        yield sent
        nursery.cancel_scope.cancel()


async def sees(server: Server, room: str) -> None:
    """Return once a client that comes now has decoded ten pictures of the room's camera."""
    who = await identity_of(server, room)
    async with rtc_peer(*await viewer_of(server, room)) as viewer:
        await viewer.said("frames", who=who, count=10, within_s=WITHIN_S)


async def test_camera_then_webrtc_and_hls_play_by_one_worker_and_each_room_has_its_own(hub: Server) -> None:
    async with camera(hub, "yard") as sent:
        assert not workers(hub)
        who = await identity_of(hub, "yard")
        async with rtc_peer(*await viewer_of(hub, "yard")) as viewer:
            await viewer.said("frames", who=who, count=10, within_s=WITHIN_S)
            await decodes(hls(hub, "yard"))
            await decodes(f"{hls(hub, 'yard')}?container=ts")
            (first,) = workers(hub)
            assert await stream_types(hub) == {who: "ws-mjpeg"}, "it is one stream, not two"
            sent[:] = jpegs(size=(640, 480))
            await viewer.said("frames", who=who, count=10, width=640, within_s=WITHIN_S)
            assert workers(hub) == [first], "its track began anew, not all of it"

            async with hub.camera("gate", fps=1):
                await decodes(hls(hub, "gate"), count=5)
                (gate,) = set(workers(hub)) - {first}
                os.kill(first, signal.SIGKILL)

                async def goes_on() -> bool:
                    answer = await hub.request("GET", "/hls/live/yard/index.m3u8", token=None)
                    return b"#EXT-X-DISCONTINUITY\n" in answer.body

                await eventually(goes_on, WITHIN_S)
                await viewer.said("participant", who=who, within_s=WITHIN_S)
                await decodes(hls(hub, "yard"), count=5)
                assert gate in workers(hub), "the other room has noticed nothing"
                assert first not in workers(hub)
            await eventually(lambda: len(workers(hub)) == 1, WITHIN_S)
    await eventually(lambda: not workers(hub), WITHIN_S)

    async def ended() -> bool:
        return await stream_types(hub) == {}

    await eventually(ended, WITHIN_S)


async def test_camera_when_the_server_stops_and_starts_then_nothing_is_left_and_all_comes_back(hub: Server) -> None:
    async with camera_device(hub, "yard"):
        await sees(hub, "yard")
        await decodes(hls(hub, "yard"), count=5)
        (worker,) = workers(hub)
        assert await hub.stop() == 0
        assert not Path(f"/proc/{worker}").exists()
        assert not list((hub.data_dir / "hls").glob("*"))
        await hub.start()
        await livekit_ready(hub)
        await eventually(lambda: hub.shows("yard"), WITHIN_S)
        await sees(hub, "yard")
        await decodes(hls(hub, "yard"))


@pytest.mark.long
async def test_camera_when_nobody_wants_it_any_more_then_its_worker_ends_and_begins_again_when_asked(
    hub: Server,
) -> None:
    async with hub.camera("yard"):
        await decodes(hls(hub, "yard"))
        await sees(hub, "yard")
        assert len(workers(hub)) == 1
        await trio.sleep(20)
        assert len(workers(hub)) == 1
        await eventually(lambda: not workers(hub), 90)
        assert not list((hub.data_dir / "hls").glob("*"))
        assert await stream_types(hub) == {await identity_of(hub, "yard"): "ws-mjpeg"}
        await sees(hub, "yard")
        await decodes(hls(hub, "yard"))
