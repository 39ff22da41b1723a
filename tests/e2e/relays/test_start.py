"""How soon what an encoder pushes is seen."""

from __future__ import annotations

import json
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from time import time

import pytest
import trio

from tests.e2e.matrix.eyes import Eye, all_see, hls, pages, webrtc
from tests.e2e.matrix.sources import H264, NO_B_FRAMES, Row, Source
from tests.e2e.matrix.table import tell
from tests.e2e.relays.conftest import has_state, workers
from tests.support.server import Server
from tests.support.waiting import eventually

ROUNDS, LIMIT_S = 3, 60.0
ROW = Row("RTMP", "rtmp", "H.264", encode=(*H264, *NO_B_FRAMES))


@pytest.mark.long
async def test_encoder_when_it_begins_then_viewers_who_wait_see_it_soon(
    hub: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    eyes = {name: Eye(name) for name in ("LiveKit's SDK", "/play", "HLS")}
    source = Source(ROW, hub, "yard", tmp_path)
    clock = time() - trio.current_time()
    taken: dict[str, list[float]] = {}
    async with trio.open_nursery() as nursery, aclosing(source):
        await nursery.start(pages, hub, "yard", [], eyes)
        nursery.start_soon(webrtc, hub, "yard", eyes["LiveKit's SDK"])
        nursery.start_soon(hls, hub, "yard", eyes["HLS"])
        for life in range(1, ROUNDS + 1):
            await source.start(life)
            await all_see(eyes.values(), lambda eye, now=life: eye.moves(now), LIMIT_S)
            began = _publishing_at(hub)[-1] - clock
            for name, eye in eyes.items():
                taken.setdefault(name, []).append(eye.first_at[life] - began)
            await source.stop()
            await has_state(hub, source.made["ingressId"], "inactive")
            await eventually(lambda: not workers(hub), LIMIT_S)
        nursery.cancel_scope.cancel()
    figures = [f"{name} {', '.join(f'{s:.1f}' for s in sorted(seconds))}" for name, seconds in taken.items()]
    tell(request.config, f"RTMP, a key frame a second: from publish to the first picture, s: {'; '.join(figures)}")


def _publishing_at(server: Server) -> list[float]:
    """When encoders were let in, as the wall clock says it."""
    lines = [json.loads(line) for line in server.log().splitlines() if '"publishing"' in line]
    return [datetime.fromisoformat(line["ts"]).timestamp() for line in lines]
