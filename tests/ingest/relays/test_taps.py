"""Taps with scripted workers: when one runs, as whom it joins, and when it gives way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import jwt
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from streamhub.errors import Unavailable
from streamhub.ingest.taps import Taps
from streamhub.livekit.server import LiveKit
from streamhub.livekit.tokens import TYPE_ATTRIBUTE, LiveKitKeys
from streamhub.model.clock import utc_now
from streamhub.model.streams import Published, State
from streamhub.rooms.demand import POLL_S
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.rooms.lease import LEASE_S
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import AttachHls, AttachJpeg, AttachWhip, Ended, SinkEnded, Start
from tests.fakes.relay import ScriptedWorker
from tests.ingest.relays.scene import KEY, Scene, scene
from tests.support.hls import inline_files

KEYS = LiveKitKeys("key", "secret" * 8)


@attrs.define(eq=False)
class Tapped:
    """A room of LiveKit's, and what looks after it."""

    scene: Scene
    livekit: LiveKit

    @property
    def room(self) -> Room:
        return self.scene.room()

    @property
    def worker(self) -> ScriptedWorker:
        return self.scene.worker

    @property
    def working(self) -> bool:
        return any(not worker.over.is_set() for worker in self.scene.workers.made)

    async def publish(self, native: int = 1, publishers: int = 1) -> None:
        self.scene.hub.publishing(KEY, Published(State.LIVE, utc_now(), publishers, native) if publishers else None)
        await wait_all_tasks_blocked()

    async def want_hls(self) -> None:
        await HlsLeases(self.scene.hub).want(KEY, "fmp4")
        await wait_all_tasks_blocked()


@asynccontextmanager
async def tapped(tmp_path: Path) -> AsyncIterator[Tapped]:
    livekit = LiveKit(KEYS, managed=True)
    livekit.set_ready("http://127.0.0.1:7880", "1.13.5")
    async with scene(inline_files(tmp_path)) as s:
        taps = Taps(s.hub, s.relays, livekit)
        s.hub.on_published = taps.look
        s.nursery.start_soon(taps.run)
        await wait_all_tasks_blocked()
        found = Tapped(s, livekit)
        yield found
        await found.publish(publishers=0)
        assert not found.working
        assert s.relays.count() == 0
        assert s.hub.totals.room_errors == 0


async def test_native_publisher_then_hls_is_offered_and_nothing_runs(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish()
        await trio.sleep(120)
        assert t.room.hls.is_offered
        assert t.room.wakers
        assert t.scene.workers.made == []
        await t.publish(publishers=0)
        assert t.scene.hub.get(KEY) is None


async def test_hls_is_wanted_then_a_worker_joins_unseen_until_a_while_after(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish()
        await t.want_hls()
        start = t.worker.orders[0]
        assert isinstance(start, Start)
        assert (start.kind, start.url, start.media_fd) == ("room", "http://127.0.0.1:7880", -1)
        claims = jwt.decode(start.token or "", KEYS.api_secret, algorithms=["HS256"])
        assert claims["attributes"] == {TYPE_ATTRIBUTE: "tap"}
        video = claims["video"]
        assert (video["room"], video["hidden"], video["canSubscribe"]) == (KEY.room, True, True)
        assert [video[w] for w in ("canPublish", "canPublishData", "roomRecord")] == [False] * 3
        assert start.token not in repr(start)
        assert t.worker.attached(AttachHls)
        assert not t.worker.attached(AttachJpeg)
        assert not t.worker.attached(AttachWhip)
        assert t.scene.relays.count() == 1
        await trio.sleep(LEASE_S - 1)
        assert t.working
        await trio.sleep(2)
        assert not t.working


async def test_pictures_are_polled_then_a_worker_decodes_them_for_a_while(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish()
        t.room.poll()
        await wait_all_tasks_blocked()
        assert t.worker.attached(AttachJpeg)
        assert not t.worker.attached(AttachHls)
        await trio.sleep(POLL_S + 1)
        assert not t.working


async def test_publisher_leaves_and_comes_back_then_so_does_the_worker(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish()
        await t.want_hls()
        await t.publish(publishers=0)
        assert not t.working
        await t.publish()
        assert t.working
        assert len(t.scene.workers.made) == 2


async def test_only_relays_publish_then_no_tap(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish(native=0, publishers=2)
        assert t.scene.hub.get(KEY) is None


async def test_a_relay_or_camera_serves_the_room_then_the_tap_gives_way(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish()
        await t.want_hls()
        with t.room.hls.offered():
            await wait_all_tasks_blocked()
            assert not t.working
            assert not t.room.wakers
            t.room.hls.streams["fmp4"].touch()
        await wait_all_tasks_blocked()
        assert t.working


async def test_worker_dies_then_another_joins_as_somebody_else(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish()
        await t.want_hls()
        first = t.worker
        first.say(Ended(error="the connection to LiveKit is lost", code="connection_lost"))
        first.die()
        await trio.sleep(1)
        second = t.worker
        assert second is not first
        tokens = [w.orders[0].token for w in (first, second) if isinstance(w.orders[0], Start)]
        assert len(set(tokens)) == 2


async def test_tracks_changed_then_hls_is_begun_anew_at_once(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        await t.publish()
        await t.want_hls()
        (sink,) = t.worker.attached(AttachHls)
        t.worker.say(SinkEnded(id=sink, error="the source's tracks changed", code="tracks_changed"))
        await wait_all_tasks_blocked()
        assert len([o for o in t.worker.orders if isinstance(o, AttachHls)]) == 2


async def test_livekit_is_away_then_whoever_waits_hears_it_and_it_is_tried_again(tmp_path: Path) -> None:
    async with tapped(tmp_path) as t:
        t.livekit.set_down("livekit-server has ended", "Look into its log.")
        await t.publish()
        await t.want_hls()
        with pytest.raises(Unavailable, match="livekit-server has ended"):
            await t.room.hls.streams["fmp4"].ready()
        t.livekit.set_ready("http://127.0.0.1:7999", "1.13.5")
        await trio.sleep(11)
        start = t.worker.orders[0]
        assert isinstance(start, Start)
        assert start.url == "http://127.0.0.1:7999"
