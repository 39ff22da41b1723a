"""Cameras with scripted workers: when one runs, what it gets, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from streamhub.errors import Unavailable
from streamhub.ingest.camera_relays import CameraRelays
from streamhub.livekit.tokens import INGRESS_ATTRIBUTE, TYPE_ATTRIBUTE
from streamhub.model.clock import utc_now
from streamhub.model.streams import State, StreamType
from streamhub.rooms.demand import LIVEKIT_S
from streamhub.rooms.hls import LEASE_S
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.rooms.room import Room
from streamhub.rooms.session import Session
from streamhub.wire.relay_control import AttachHls, AttachJpeg, AttachWhip, Ended, Start
from tests.fakes.relay import ScriptedWorker
from tests.ingest.relays.scene import KEY, Scene, scene
from tests.support.hls import inline_files
from tests.support.media import jpeg
from tests.support.offers import OBS_30


@attrs.define(eq=False)
class Camera:
    """A room with a camera. ``show`` sends a picture."""

    scene: Scene
    room: Room
    session: Session

    @property
    def worker(self) -> ScriptedWorker:
        return self.scene.worker

    @property
    def working(self) -> bool:
        return any(not worker.over.is_set() for worker in self.scene.workers.made)

    async def show(self, n: int) -> None:
        await self.room.publish(self.session, jpeg(n))
        await wait_all_tasks_blocked()

    async def show_for(self, seconds: float, fps: float = 1) -> None:
        for n in range(round(seconds * fps)):
            await self.room.publish(self.session, jpeg(n))
            await trio.sleep(1 / fps)

    async def want_hls(self, container: str = "fmp4") -> None:
        await HlsLeases(self.scene.hub).want(KEY, container)  # type: ignore[arg-type]
        await wait_all_tasks_blocked()


def session_of(identity: str = "cam") -> Session:
    return Session(KEY, f"{KEY.room}/{identity}", StreamType.WS_MJPEG, identity, "wsi_1", started_at=utc_now())


@asynccontextmanager
async def camera(tmp_path: Path) -> AsyncIterator[Camera]:
    async with scene(inline_files(tmp_path)) as s:
        s.hub.accompany = CameraRelays(s.relays).run
        async with s.hub.lease(KEY, publishing=True) as room:
            session = session_of()
            room.attach(session)
            yield Camera(s, room, session)
            if room.session is not None:
                room.detach(room.session)
            await wait_all_tasks_blocked()
            assert not room.hls.is_offered
        await wait_all_tasks_blocked()
        assert all(worker.over.is_set() for worker in s.workers.made)
        assert s.relays.count() == 0
        assert s.hub.totals.room_errors == 0


async def test_camera_when_nobody_wants_it_then_hls_is_offered_and_nothing_runs(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show_for(60, fps=2)
        assert c.room.hls.is_offered
        assert not c.scene.workers.made


async def test_camera_when_a_token_was_minted_then_it_publishes_for_a_while(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        c.scene.hub.expecting(KEY)
        await wait_all_tasks_blocked()
        start, whip = c.worker.orders
        assert isinstance(start, Start)
        assert (start.kind, start.media_fd) == ("jpeg", 7)
        assert isinstance(whip, AttachWhip)
        assert c.worker.pictures == [jpeg(1)], "it need not wait for the next picture"
        await c.show(2)
        assert c.worker.pictures == [jpeg(1), jpeg(2)]
        assert c.scene.relays.count() == 1
        await c.show_for(LIVEKIT_S - 1)
        assert c.working
        await c.show_for(2)
        assert not c.working


async def test_camera_when_it_publishes_then_as_itself_and_as_no_other_stream(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        c.scene.hub.expecting(KEY)
        await wait_all_tasks_blocked()
        whip = c.worker.orders[1]
        assert isinstance(whip, AttachWhip)
        await c.scene.relays.whip.publish(whip.bearer, OBS_30)
        (asked,) = c.scene.livekit.asked
        assert asked.claims["sub"] == "cam"
        assert asked.claims["attributes"] == {TYPE_ATTRIBUTE: "ws-mjpeg"}
        assert INGRESS_ATTRIBUTE not in asked.claims["attributes"]
        assert asked.claims["video"]["canSubscribe"] is False


async def test_camera_when_people_are_in_livekits_room_then_it_stays_until_a_while_after_the_last(
    tmp_path: Path,
) -> None:
    async with camera(tmp_path) as c:
        c.scene.hub.looking_on(KEY, 2)
        await wait_all_tasks_blocked()
        assert not c.scene.workers.made, "there is no picture yet"
        await c.show_for(LIVEKIT_S * 3)
        assert c.worker.attached(AttachWhip)
        c.scene.hub.looking_on(KEY, 1)
        await c.show_for(LIVEKIT_S * 2)
        assert c.working
        c.scene.hub.looking_on(KEY, 0)
        await c.show_for(LIVEKIT_S - 1)
        assert c.working
        await c.show_for(2)
        assert not c.working
        assert len(c.scene.workers.made) == 1


async def test_camera_when_people_were_there_before_it_then_it_comes_to_them(tmp_path: Path) -> None:
    async with scene(inline_files(tmp_path)) as s:
        s.hub.accompany = CameraRelays(s.relays).run
        s.hub.looking_on(KEY, 1)
        async with s.hub.lease(KEY, publishing=True) as room:
            session = session_of()
            room.attach(session)
            await room.publish(session, jpeg(1))
            await wait_all_tasks_blocked()
            assert s.worker.attached(AttachWhip)
            room.detach(session)


async def test_camera_when_hls_is_asked_for_then_that_alone_is_made_and_one_worker_serves_both(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        await c.want_hls()
        assert len(c.worker.attached(AttachHls)) == 1
        assert not c.worker.attached(AttachWhip)
        assert not c.worker.attached(AttachJpeg)
        await c.show_for(20)
        c.scene.hub.expecting(KEY)
        await c.want_hls("ts")
        assert len(c.worker.attached(AttachHls)) == 2
        assert len(c.worker.attached(AttachWhip)) == 1
        await c.show_for(LEASE_S - 18)
        assert len(c.worker.attached(AttachHls)) == 1, "the first has ended"
        await c.want_hls("ts")
        await c.show_for(LIVEKIT_S - 10)
        assert not c.worker.attached(AttachWhip), "nobody came"
        assert len(c.worker.attached(AttachHls)) == 1
        await c.show_for(LEASE_S)
        assert not c.working
        assert len(c.scene.workers.made) == 1


async def test_camera_when_the_worker_is_slow_then_it_gets_the_newest_and_the_reader_does_not_wait(
    tmp_path: Path,
) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        await c.want_hls()
        c.worker.busy = trio.Event()
        before = trio.current_time()
        for n in range(2, 50):
            await c.show(n)
        assert trio.current_time() == before
        c.worker.busy.set()
        c.worker.busy = None
        await wait_all_tasks_blocked()
        assert c.worker.pictures == [jpeg(1), jpeg(2), jpeg(49)]


async def test_camera_when_it_is_slow_then_its_picture_is_repeated_and_not_when_it_is_stale(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show_for(21, fps=1 / 3.5)
        await c.want_hls()
        await c.show_for(14, fps=1 / 3.5)
        assert len(c.worker.pictures) == 1 + 4 * 4, "as it came, and one, two and three seconds later"
        await trio.sleep(20)
        assert c.room.state is State.STALE
        sent = len(c.worker.pictures)
        await trio.sleep(5)
        assert len(c.worker.pictures) == sent


async def test_camera_when_its_worker_dies_then_another_begins_sooner_or_later(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        c.scene.hub.looking_on(KEY, 1)
        await wait_all_tasks_blocked()
        c.worker.die()
        await c.show_for(1)
        assert len(c.scene.workers.made) == 2
        assert c.worker.pictures
        for _ in range(10):
            c.worker.die()
            await c.show_for(15, fps=1)
        assert len(c.scene.workers.made) == 12
        assert c.working


async def test_camera_when_its_pictures_stay_away_then_it_is_left_alone_until_one_comes(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        c.scene.hub.looking_on(KEY, 1)
        await trio.sleep(10)
        c.worker.say(Ended(error="the source has sent nothing", code="stalled"))
        await trio.sleep(1000)
        assert not c.working
        assert c.scene.relays.count() == 0
        await c.show(2)
        assert c.worker.pictures == [jpeg(2)]


async def test_camera_when_it_takes_its_own_room_over_then_the_worker_goes_on(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        c.scene.hub.looking_on(KEY, 1)
        await wait_all_tasks_blocked()
        again = session_of()
        c.room.attach(again)
        c.room.detach(c.session)
        c.session = again
        await c.show(2)
        assert c.worker.pictures == [jpeg(1), jpeg(2)]
        other = session_of("other")
        c.room.attach(other)
        c.room.detach(again)
        c.session = other
        await c.show(3)
        await trio.sleep(1)
        assert len(c.scene.workers.made) == 2, "somebody else is another publisher"
        assert c.scene.workers.made[0].over.is_set()
        assert c.worker.attached(AttachWhip)


async def test_camera_when_it_leaves_and_comes_back_then_hls_goes_on_in_the_same_list(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        await c.want_hls()
        stream = c.room.hls.streams["fmp4"]
        folder = c.worker.orders[-1].folder  # type: ignore[union-attr]
        c.room.detach(c.session)
        await wait_all_tasks_blocked()
        assert not c.working
        assert not c.room.hls.is_offered
        assert stream.is_wanted
        c.session = session_of()
        c.room.attach(c.session)
        await c.show(2)
        assert c.working
        assert c.worker.orders[-1].folder == folder  # type: ignore[union-attr]


async def test_camera_when_there_are_too_many_relays_then_hls_says_so_until_there_is_room(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        c.scene.relays.most = 0
        await c.show(1)
        c.scene.hub.looking_on(KEY, 1)
        await c.want_hls()
        with pytest.raises(Unavailable, match=r"may: 0 \(STREAMHUB_MAX_RELAYS\)") as told:
            await c.room.hls.streams["fmp4"].ready()
        assert told.value.code == "too_many_relays"
        assert not c.scene.workers.made
        c.scene.relays.most = 1
        await c.show_for(12)
        assert c.worker.attached(AttachHls)
        assert c.worker.attached(AttachWhip)


async def test_camera_when_no_worker_can_be_had_then_hls_says_why(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        c.scene.workers.opens = False
        await c.show(1)
        await c.want_hls()
        c.worker.say(Ended(error="x264 is missing", code="no_encoder", hint="Install it."))
        with pytest.raises(Unavailable, match="x264"):
            await c.room.hls.streams["fmp4"].ready()


async def test_camera_when_the_server_stops_then_its_worker_ends_first(tmp_path: Path) -> None:
    async with camera(tmp_path) as c:
        await c.show(1)
        c.scene.hub.looking_on(KEY, 1)
        await wait_all_tasks_blocked()
        await c.scene.relays.stop(1.5)
        assert not c.working
        await c.show_for(30)
        assert len(c.scene.workers.made) == 1
