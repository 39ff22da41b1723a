"""The set-up people ask for, for minutes: OBS by RTMP, a moderator who talks by WebRTC, viewers by WebRTC and HLS."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from tests.e2e.matrix.census import count
from tests.e2e.matrix.eyes import Eye, all_see, hls, webrtc
from tests.e2e.matrix.table import tell
from tests.e2e.relays.conftest import ffmpeg, has_state, make_ingress, workers
from tests.support.marks import graph
from tests.support.rtc import rtc_peer
from tests.support.server import Server
from tests.support.waiting import eventually

# A shorter look: MIXED_S=120 scripts/test --long tests/e2e/relays/test_mixed.py
LONG_S = float(os.environ.get("MIXED_S", "600"))
LOOK_EVERY_S = 10.0
STUCK_S = 60.0  # a busy machine takes its time, and what is measured is told
SETTLED_S = 30.0  # what is made once (threads, connections, caches) is there by then
LIFE, HOST_HZ, GAME_HZ = 1, 440, 1000
# OBS's defaults: B-frames, two seconds from key frame to key frame, AAC at 48 kHz; veryfast costs more than two cores
# have beside everything else.
VIDEO = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 2 -b_strategy 0 -sc_threshold 0 -g 60 -b:v 2500k"
SOUND = f"-re -f lavfi -i sine=frequency={GAME_HZ}:sample_rate=48000"


@pytest.mark.long
async def test_encoder_moderator_and_viewers_when_they_stay_for_long_then_nothing_is_missed_restarted_or_left(
    hub: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made = await make_ingress(hub)
    eyes = {name: Eye(name) for name in ("HLS 1", "HLS 2", "WebRTC 1", "WebRTC 2")}
    picture = graph(LIFE, (1280, 720), 30)
    words = ["-re", "-f", "lavfi", "-i", picture, *SOUND.split(), *VIDEO.split(), "-c:a", "aac", "-ac", "2"]
    body = {"room": "yard", "identity": "host"}
    token = (await hub.request("POST", "/api/v1/apps/live/tokens", body)).data["token"]
    async with ffmpeg(*words, "-f", "flv", made["rtmp_url"]) as encoder, rtc_peer(hub.ws_url, token) as host:
        await host.said("joined")
        await host.do("publish", kind="audio")
        await host.said("published", kind="audio")
        await has_state(hub, made["ingressId"], "publishing")
        async with trio.open_nursery() as nursery:
            for name, eye in eyes.items():
                nursery.start_soon(hls if name.startswith("HLS") else webrtc, hub, "yard", eye)
            await all_see(eyes.values(), lambda eye: eye.moves(LIFE), 120)
            await all_see(eyes.values(), lambda eye: LIFE in eye.heard, 60)  # the moderator's tone
            await trio.sleep(min(SETTLED_S, LONG_S / 3))
            for eye in eyes.values():
                eye.longest_s = 0.0
                eye.seen[LIFE].clear()
            first, began, relays = count(hub), trio.current_time(), workers(hub)
            opened = []
            while trio.current_time() - began < LONG_S:
                await trio.sleep(LOOK_EVERY_S)
                now = count(hub)
                assert workers(hub) == relays, "it goes on in the same process"
                assert now.processes == first.processes
                assert now.files < 40, "segments outside of the list's window go"
                opened.append(now.descriptors)
            assert encoder.returncode is None
            last, seconds = count(hub), trio.current_time() - began
            figures = []
            for name, eye in eyes.items():
                numbers = eye.seen[LIFE]
                missed = sum((b - a) % 256 - 1 for a, b in pairwise(numbers)) if name.startswith("HLS") else 0
                figures.append(f"{name} {len(numbers)} pictures, {missed} missed, longest wait {eye.longest_s:.1f} s")
                assert eye.longest_s < STUCK_S, figures
                assert missed == 0, figures
                assert eye.starts == 1, "the player never had to begin anew"
            assert min(opened[-5:]) <= max(opened[:5]), opened
            assert last.rss_mb["server"] < first.rss_mb["server"] + 15
            assert last.rss_mb["relay"] < first.rss_mb["relay"] + 40
            playlist = (await hub.request("GET", "/hls/live/yard/index.m3u8", token=None)).body.decode()
            assert "EXT-X-DISCONTINUITY\n" not in playlist
            tell(request.config, f"mixed, {seconds:.0f} s of 720p30 with B-frames: {'; '.join(figures)}")
            tell(
                request.config,
                f"mixed, CPU and RSS: {last.shares(first, seconds)}; descriptors {opened[0]} … {opened[-1]}",
            )
            nursery.cancel_scope.cancel()
        encoder.terminate()
        await encoder.wait()
        await eventually(lambda: not workers(hub), within_s=30)
    await eventually(lambda: count(hub).files == 0, within_s=120)
    await eventually(lambda: count(hub).processes == 3, within_s=30)
