"""STREAMHUB_EGRESS=livekit on a real livekit-server with a real Redis.

LiveKit's egress service does not run here: tests/support/egress_worker.py takes its orders and reports as it would.
"""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from livekit import api as livekit_api
from livekit.protocol import egress as proto

from tests.e2e.rooms.conftest import livekit_ready
from tests.fakes.livekit import note, sign
from tests.support.egress_worker import EgressWorker, egress_worker
from tests.support.livekit import livekit_env
from tests.support.redis import KEYS, Outside, livekit_with_redis
from tests.support.rtc import rtc_peer
from tests.support.server import Answer, Server, run_server
from tests.support.waiting import eventually

ROOM = "live-stage"
PLAYLIST = "/hls/live/stage/index.m3u8"
HLS = f"/api/v1/apps/live/streams/{ROOM}%2Fann/hls"
LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns_00000.ts\n"
SECRET = "a-secret-of-the-bucket"


@attrs.frozen
class Site:
    """Our server, the livekit-server it uses, and ``cdn``, where the egress service's folder is served."""

    hub: Server
    outside: Outside
    cdn: str

    @asynccontextmanager
    async def publisher(self, identity: str) -> AsyncIterator[None]:
        token = livekit_api.AccessToken(KEYS.api_key, KEYS.api_secret).with_identity(identity)
        grants = livekit_api.VideoGrants(room_join=True, room=ROOM, can_publish=True, can_subscribe=False)
        async with rtc_peer(self.outside.url, token.with_grants(grants).to_jwt()) as peer:
            await peer.do("publish", kind="video")
            await peer.said("published")
            await eventually(lambda: self.is_seen(identity), within_s=30)
            yield

    async def is_seen(self, identity: str) -> bool:
        found = (await self.hub.request("GET", "/api/v1/apps/live/streams")).data
        return any(s["participant"] == identity and s["status"] == "active" for s in found)

    async def hook(self, worker: EgressWorker, egress_id: str) -> None:
        """The webhook that livekit-server would send."""
        body = note("egress_updated", ROOM, event_id=f"EV_{egress_id}_{worker.infos[egress_id].status}")
        headers = {"Authorization": sign(KEYS, body), "Content-Type": "application/webhook+json"}
        answer = await self.hub.request("POST", "/api/v1/webhooks/livekit", raw=body, token=None, headers=headers)
        assert answer.status == 200

    async def shows(self, worker: EgressWorker) -> str:
        """Ask as a player does; the worker's newest becomes active and writes. Returns where players are sent."""
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await self.hub.request("GET", PLAYLIST, token=None))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await eventually(lambda: any(i.status == proto.EGRESS_STARTING for i in worker.infos.values()))
            egress_id = worker.started[-1]
            await worker.report(egress_id, proto.EGRESS_ACTIVE)
            folder = worker.folder(egress_id)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "index.m3u8").write_text(LIST)
        (answer,) = answers
        assert (answer.status, answer.headers["cache-control"]) == (307, "private, no-store")
        where = answer.headers["location"]
        assert where == f"{self.cdn}/{folder.relative_to(folder.parents[2])}/index.m3u8"
        return where


@pytest.fixture
def cdn(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "out"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def site(tmp_path: Path, cdn: str) -> AsyncIterator[Site]:
    settings = {
        "STREAMHUB_EGRESS": "livekit",
        "STREAMHUB_EGRESS_BASE_URL": cdn,
        "STREAMHUB_EGRESS_FOLDER": str(tmp_path / "out"),
    }
    async with livekit_with_redis(tmp_path) as outside:
        async with run_server(tmp_path, env={**outside.env, **settings}) as hub:
            await livekit_ready(hub)
            yield Site(hub, outside, cdn)


async def test_hls_is_ordered_shown_stopped_and_taken_over_after_a_restart(site: Site) -> None:
    async with egress_worker(site.outside.redis) as worker, site.publisher("ann"):
        # A player comes: an egress of the one who publishes. The player waits until there is something to show.
        where = await site.shows(worker)
        asked = worker.last.participant
        assert (asked.room_name, asked.identity) == (ROOM, "ann")
        assert (await site.hub.request("GET", HLS)).data["active"] is True
        stats = (await site.hub.request("GET", "/api/v1/stats")).data
        assert stats["egress"] == {"reachable": True, "active": 1, "total": 1}
        policy = (await site.hub.request("GET", "/play/live/stage", token=None)).headers["content-security-policy"]
        assert policy.count(site.cdn) == 2  # its pages may play from there

        # Ordered by REST: the one that runs is used again.
        ordered = await site.hub.request("POST", f"{HLS}/start")
        assert (ordered.status, ordered.data["status"]) == (201, "EGRESS_ACTIVE")
        assert ordered.data["egressId"] == worker.started[-1]

        # Killed and started again, we know what runs.
        assert site.hub.process is not None
        site.hub.process.kill()
        await site.hub.process.wait()
        await site.hub.start()
        await livekit_ready(site.hub)
        again = await site.hub.request("GET", PLAYLIST, token=None)
        assert (again.status, again.headers["location"]) == (307, where)

        # It fails, and LiveKit tells: the reason is there, and another begins.
        (failed,) = worker.started
        await worker.report(failed, proto.EGRESS_FAILED, "no space left")
        await site.hook(worker, failed)

        async def begun() -> bool:
            return len(worker.started) == 2

        await eventually(begun, within_s=20)
        assert "no space left" in site.hub.log()
        assert await site.shows(worker) != where

        # Stopped with us.
        assert await site.hub.stop() == 0
        assert worker.last.status == proto.EGRESS_COMPLETE


async def test_without_an_egress_service_then_what_to_do_and_with_one_a_room_of_several_is_shown_whole(
    site: Site,
) -> None:
    async with site.publisher("ann"), site.publisher("ben"):
        before = trio.current_time()
        for answer in (
            await site.hub.request("POST", f"{HLS}/start"),
            await site.hub.request("GET", PLAYLIST, token=None),
        ):
            assert (answer.status, answer.json()["code"]) == (503, "egress_no_worker")
            assert "must use the same Redis" in answer.json()["hint"]
        assert trio.current_time() - before < 20  # LiveKit itself takes more than 24 s to say so
        async with egress_worker(site.outside.redis) as worker:
            await eventually(lambda: bool(worker.started), within_s=30)  # it is tried again by itself
            ordered = await site.hub.request("POST", f"{HLS}/start")
            assert (ordered.status, ordered.data["status"]) == (201, "EGRESS_STARTING")
            assert (worker.last.room_composite.room_name, worker.last.room_composite.layout) == (ROOM, "speaker")
            await site.shows(worker)
            stopped = await site.hub.request("POST", f"{HLS}/stop")
            assert stopped.data == {"egressId": worker.started[-1], "status": "EGRESS_ENDING"}


async def test_managed_livekit_without_redis_then_what_is_missing(tmp_path: Path, cdn: str) -> None:
    settings = {"STREAMHUB_EGRESS": "livekit", "STREAMHUB_EGRESS_BASE_URL": cdn, "STREAMHUB_EGRESS_S3_BUCKET": "b"}
    keys = {"STREAMHUB_EGRESS_S3_KEY": "a-key", "STREAMHUB_EGRESS_S3_SECRET": SECRET}
    async with run_server(tmp_path, env={**livekit_env(), **settings, **keys}) as hub:
        await livekit_ready(hub)

        async def told() -> bool:
            checks = (await hub.request("GET", "/api/v1/health?verbose=1")).json()["checks"]
            return [(c["ok"], "Redis" in c["hint"]) for c in checks if c["name"] == "egress"] == [(False, True)]

        await eventually(told, within_s=20)
        assert (await hub.request("GET", "/api/v1/stats")).data["egress"]["reachable"] is False
        assert SECRET not in hub.log()
