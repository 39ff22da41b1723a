"""From an encoder's publish command to the first picture a WebRTC viewer has decoded.

ffmpeg publishes 720p30 of about 2 Mbit/s by RTMP, copied from a file, so that the machine has little else to do; one
viewer, LiveKit's SDK, waits in the room. A run is a room of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

import trio

from tests.bench.figures import load, percentile, save, table
from tests.bench.relays import make_clip
from tests.e2e.relays.conftest import ffmpeg
from tests.e2e.rooms.conftest import livekit_ready
from tests.e2e.whip.conftest import viewer_of
from tests.support.livekit import livekit_env
from tests.support.rtc import rtc_peer
from tests.support.server import Server, run_server
from tests.support.waiting import eventually

GOPS = {"1 s": 30, "2 s": 60, "4 s": 120}
WITHIN_S = 30.0


async def first_picture(server: Server, clip: Path, room: str) -> float:
    """Seconds from publish to picture."""
    body = {"room": room, "inputType": "rtmp"}
    made = (await server.request("POST", "/api/v1/apps/live/ingress", body)).data
    clock = time() - trio.current_time()
    async with rtc_peer(*await viewer_of(server, room)) as viewer:
        await viewer.said("joined")
        before = len(_published(server))
        source = ["-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "flv"]
        async with ffmpeg(*source, made["rtmp_url"]):
            await viewer.said("frames", count=1, within_s=WITHIN_S)
            seen = trio.current_time() + clock
            await eventually(lambda: len(_published(server)) > before, WITHIN_S)
            began = _published(server)[before]
    await server.request("DELETE", f"/api/v1/apps/live/ingress/{made['ingressId']}")
    return seen - began


def _published(server: Server) -> list[float]:
    """When encoders were let in, as the wall clock says it."""
    lines = [json.loads(line) for line in server.log().splitlines() if '"publishing"' in line]
    return [datetime.fromisoformat(line["ts"]).timestamp() for line in lines]


async def measure(rounds: int, gops: Mapping[str, int]) -> dict[str, Any]:
    """All figures."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = {gop: make_clip(folder, f"gop{frames}", gop=frames) for gop, frames in gops.items()}
        async with run_server(folder, env=livekit_env()) as server:
            await livekit_ready(server)
            before = load()
            for n in range(rounds):
                for gop, clip in clips.items():
                    found.setdefault(gop, []).append(await first_picture(server, clip, f"start{clip.stem}x{n}"))
    return {"load_before": before, "load_after": load(), "seconds": found}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench first", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="publications of each kind (5)")
    parser.add_argument("--gop", choices=GOPS, nargs="+", default=list(GOPS), help="from key frame to key frame")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    asked = parser.parse_args()
    figures = trio.run(measure, asked.rounds, {gop: GOPS[gop] for gop in asked.gop})
    print(f"load of the machine: {figures['load_before']} before, {figures['load_after']} after\n")
    rows = [("RTMP, a key frame every", "first WebRTC picture, p50 s", "longest s", "all")]
    for gop, seconds in figures["seconds"].items():
        each = ", ".join(f"{value:.2f}" for value in seconds)
        rows.append((gop, f"{percentile(seconds, 50):.2f}", f"{max(seconds):.2f}", each))
    print(table(rows))
    save(asked.json, "start", figures)


if __name__ == "__main__":
    main()
