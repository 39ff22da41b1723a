"""Two livekit-servers that share a Redis: one takes a publication in, the other shows it; then the first is killed.

How soon it is back depends on the encoder most: this one sees at once that nobody is there. One that waits for ICE's
consent to run out (RFC 7675) takes 30 s to notice, and then publishes in one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.e2e.whip.conftest import decoded, livekit_ready, make_ingress, viewer_of
from tests.support.redis import livekit_node, running_redis
from tests.support.rtc import peer_process, rtc_peer
from tests.support.server import run_server

BACK_S = 30


async def encode(url: str, key: str, tries: list[float]) -> None:
    """ffmpeg's WHIP, begun again whenever it ends, as encoders are."""
    while True:
        tries.append(trio.current_time())
        command = [sys.executable, "-m", "tests.support.whip_av", url, key]
        async with peer_process(command, stderr=subprocess.DEVNULL) as encoder:
            await encoder.process.wait()
        await trio.sleep(1)


@pytest.mark.long
async def test_node_when_killed_then_its_publication_is_back_on_the_other_within_30_s(tmp_path: Path) -> None:
    async with (
        running_redis(tmp_path) as redis,
        livekit_node(redis, tmp_path, "a") as a,
        livekit_node(redis, tmp_path, "b") as b,
        run_server(tmp_path, env={**a.env, "STREAMHUB_LIVEKIT_URL": f"{a.url},{b.url}"}) as hub,
    ):
        await livekit_ready(hub)
        made = await make_ingress(hub)
        _, token = await viewer_of(hub)
        tries: list[float] = []
        async with rtc_peer(b.url, token) as viewer, trio.open_nursery() as nursery:
            await viewer.said("joined")
            nursery.start_soon(encode, made["url"], made["streamKey"], tries)
            await decoded(viewer, "ingress-live")
            a.process.kill()
            killed = trio.current_time()
            viewer.events.clear()
            await decoded(viewer, "ingress-live")
            took = trio.current_time() - killed
            print(f"back after {took:.1f} s and {len(tries)} tries")
            assert took <= BACK_S
            nursery.cancel_scope.cancel()
