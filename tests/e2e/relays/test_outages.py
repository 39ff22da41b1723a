"""Cameras, workers and the server itself are killed: what comes back by itself, how soon, and what must not stay."""

from __future__ import annotations

import os
import signal
from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from tests.e2e.matrix.census import below, count, is_gone
from tests.e2e.matrix.eyes import Eye, all_see, frame, hls, webrtc
from tests.e2e.matrix.sources import H264, NO_B_FRAMES, Row, Source
from tests.e2e.matrix.table import tell
from tests.e2e.relays.conftest import workers
from tests.support.server import Server
from tests.support.waiting import eventually

LIMIT_S = 60.0
RTSP = Row("RTSP", "rtsp", "H.264", encode=(*H264, *NO_B_FRAMES), rtsp="h264-aac")
RTMP = Row("RTMP", "rtmp", "H.264", encode=(*H264, *NO_B_FRAMES))


@pytest.mark.parametrize(
    "away_s", [pytest.param((1, 10), id="1-and-10-s"), pytest.param((60,), id="60-s", marks=pytest.mark.long)]
)
async def test_camera_when_it_is_killed_for_a_while_then_its_picture_is_back_and_nothing_is_left(
    hub: Server, tmp_path: Path, away_s: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    eyes = {"WebRTC": Eye("WebRTC"), "frame.jpg": Eye("frame.jpg"), "HLS": Eye("HLS")}
    source = Source(RTSP, hub, "yard", tmp_path)
    async with trio.open_nursery() as nursery, aclosing(source):
        for life in range(1, len(away_s) + 2):
            await source.prepare(life)
        await source.start(1)
        for name, watch in {"WebRTC": webrtc, "frame.jpg": frame, "HLS": hls}.items():
            nursery.start_soon(watch, hub, "yard", eyes[name])
        await all_see(eyes.values(), lambda eye: eye.moves(1), LIMIT_S)
        before = count(hub)
        for life, away in enumerate(away_s, start=2):
            await source.stop(kill=True)
            await trio.sleep(away)
            await source.start(life)
            began = trio.current_time()
            await all_see(eyes.values(), lambda eye, now=life: eye.moves(now), LIMIT_S)
            back = ", ".join(f"{name} {eye.first_at[life] - began:.1f} s" for name, eye in eyes.items())
            tell(request.config, f"RTSP camera away for {away} s: back after {back}; 4 s are allowed for the pictures")
        after = count(hub)
        assert after.processes == before.processes
        # Requests of the moment come and go; one left by each outage would stay.
        await eventually(lambda: count(hub).descriptors <= before.descriptors, LIMIT_S)
        assert after.files <= before.files + 20, "those of the lists' windows"
        rows = (await hub.request("GET", "/api/v1/apps/live/streams")).data
        assert [(row["streamId"], row["status"]) for row in rows] == [("live-yard/ingress-live", "active")]
        nursery.cancel_scope.cancel()


async def test_worker_when_it_is_killed_then_its_picture_is_back_and_other_rooms_notice_nothing(
    hub: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    struck, spared = Eye("struck"), Eye("spared")
    sources = [Source(RTMP, hub, "yard", tmp_path), Source(RTMP, hub, "door", tmp_path)]
    async with trio.open_nursery() as nursery, aclosing(sources[0]), aclosing(sources[1]):
        await sources[0].start(1)
        await eventually(lambda: len(workers(hub)) == 1, LIMIT_S)
        (victim,) = workers(hub)
        await sources[1].start(2)
        nursery.start_soon(webrtc, hub, "yard", struck)
        nursery.start_soon(webrtc, hub, "door", spared)
        await eventually(lambda: struck.moves(1) and spared.moves(2), LIMIT_S)
        before = count(hub)
        (other,) = set(workers(hub)) - {victim}
        spared.longest_s = 0.0
        os.kill(victim, signal.SIGKILL)
        killed_at = trio.current_time()
        await eventually(lambda: len(set(workers(hub)) - {victim, other}) == 1, LIMIT_S)
        anew_at = trio.current_time()
        # What was decoded when it was killed is still on its way for a moment.
        await eventually(lambda: struck.resumed_at > anew_at, LIMIT_S)
        seen = len(spared.seen[2])
        await eventually(lambda: len(spared.seen[2]) > seen + 10, LIMIT_S)
        assert other in workers(hub)
        assert spared.longest_s < 5, "it goes on meanwhile"
        await eventually(lambda: count(hub).processes == before.processes, LIMIT_S)
        back = struck.resumed_at - killed_at
        tell(
            request.config,
            f"worker killed: another after {anew_at - killed_at:.2f} s, pictures again after {back:.2f} s, "
            f"3 s are allowed; the other room's longest gap {spared.longest_s:.2f} s",
        )
        nursery.cancel_scope.cancel()


async def test_server_when_it_is_killed_then_no_process_of_its_is_left(hub: Server, tmp_path: Path) -> None:
    eye = Eye("WebRTC")
    sources = [Source(RTMP, hub, "yard", tmp_path), Source(RTSP, hub, "door", tmp_path)]
    async with trio.open_nursery() as nursery, aclosing(sources[0]), aclosing(sources[1]):
        await sources[0].start(1)
        await sources[1].start(2)
        nursery.start_soon(webrtc, hub, "door", eye)
        # A guard and its livekit-server, two workers and their publishers.
        await eventually(lambda: eye.moves(2) and len(workers(hub)) == 2 and len(below(hub.pid)) >= 6, LIMIT_S)
        everybody = below(hub.pid)
        await hub.stop(signal.SIGKILL)
        await eventually(lambda: all(map(is_gone, everybody)), within_s=60)
        nursery.cancel_scope.cancel()
