"""A publication that goes on for longer than anything that could end it by time: tokens, ICE consent, our timers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from streamhub.livekit.whip import TOKEN_S
from tests.e2e.whip.conftest import decoded, ingress_state, make_ingress, viewer_of
from tests.support.rtc import rtc_peer
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.whip import whip_peer

LONG_S = 630.0
SETTLED_S = 60.0  # what is made once (threads, connections, caches) is there by then
LOOK_EVERY_S = 10.0
ROW = "/api/v1/apps/live/streams/live-obs%2Fingress-live"


def descriptors(server: Server) -> int:
    return sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir())


def resident_mb(server: Server) -> float:
    pages = int(Path(f"/proc/{server.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.long
async def test_publication_when_it_goes_on_for_ten_minutes_then_it_is_one_and_costs_no_more_than_at_first(
    hub: Server,
) -> None:
    assert LONG_S > 10 * TOKEN_S, "the token that let it in has to be long over"
    made = await make_ingress(hub)
    async with whip_peer(made["url"], made["streamKey"], video="h264") as encoder:
        await encoder.said("connection", state="connected")
        await ingress_state(hub, made["ingressId"], "publishing", 20)
        began = trio.current_time()
        started_at = (await hub.request("GET", ROW)).data["startedAt"]
        first: tuple[int, float] | None = None
        opened: list[int] = []
        while trio.current_time() - began < LONG_S:
            row = (await hub.request("GET", ROW)).data
            assert (row["status"], row["type"], row["startedAt"]) == ("active", "whip", started_at)
            state = (await hub.request("GET", f"/api/v1/apps/live/ingress/{made['ingressId']}")).data
            assert state["status"] == "publishing"
            if trio.current_time() - began > SETTLED_S:
                opened.append(descriptors(hub))
                first = first or (opened[0], resident_mb(hub))
            await trio.sleep(LOOK_EVERY_S)
        assert first is not None
        # Calls to LiveKit and webhooks come and go, a few at a time: a leak of one a round would be a hundred by now.
        assert min(opened[-10:]) <= min(opened[:10]) + 3
        assert resident_mb(hub) < first[1] + 10
        assert encoder.events[-1] == {"event": "connection", "state": "connected"}
        async with rtc_peer(*await viewer_of(hub)) as viewer:
            await decoded(viewer, "ingress-live")
        assert hub.log().count('"publishing"') == 1
        rows = (await hub.request("GET", "/api/v1/apps/live/streams")).data
        assert [r["streamId"] for r in rows] == ["live-obs/ingress-live"]
        metrics = (await hub.request("GET", "/metrics")).body.decode()
        assert 'streamhub_active_streams{app="live"} 1.0' in metrics
        assert "streamhub_stream_events_total{" not in metrics  # none has been stopped
        await encoder.do("stop")
        assert (await encoder.said("deleted"))["status"] == 200
    await ingress_state(hub, made["ingressId"], "inactive", 5)

    async def over() -> bool:
        row = (await hub.request("GET", ROW)).data
        return (row["status"], row["startedAt"]) == ("ended", started_at)

    await eventually(over, within_s=10)
