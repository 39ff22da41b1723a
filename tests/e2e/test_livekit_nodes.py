"""Two livekit-servers that share a Redis: one takes a publication in, the other shows it; then the first is killed."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.e2e.whip.conftest import decoded, livekit_ready, make_ingress, viewer_of
from tests.support.redis import livekit_node, running_redis
from tests.support.rtc import RtcPeer, rtc_peer
from tests.support.server import run_server
from tests.support.waiting import eventually
from tests.support.whip import whip_peer

BACK_S = 30


async def encode(url: str, key: str, tries: list[float]) -> None:
    """As encoders do: publish, and again whenever the connection is lost or refused."""
    while True:
        tries.append(trio.current_time())
        async with whip_peer(url, key) as encoder:

            async def lost(peer: RtcPeer = encoder) -> bool:
                ended = peer.process.poll() is not None
                return ended or any(e.get("state") in ("failed", "closed") for e in peer.events)

            await eventually(lost, within_s=300)
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
