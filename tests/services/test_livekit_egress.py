"""HLS by LiveKit's egress service over fakes: who is asked for what, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import NotFound, StreamHubError, Unavailable
from streamhub.livekit.egresses import EgressState, new_path
from streamhub.livekit.following import PERIOD_S
from streamhub.model.names import RoomKey
from streamhub.model.streams import Published, State, StreamType
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.rooms.hub import Hub
from streamhub.rooms.session import Session
from streamhub.services.livekit_egress import EGRESS_LEASE_S, STALE_S, UNSEEN_S, EgressHls
from tests.fakes.egresses import BASE, FakeEgresses
from tests.rooms.fakes import KEY, START, World, wall

NO_WORKER = Unavailable("no egress service takes this", code="egress_no_worker", hint="Start it.")
DOWN = Unavailable("livekit-server cannot be reached", code="livekit_unreachable")


@attrs.define(eq=False)
class Stage:
    hub: Hub
    livekit: FakeEgresses
    egress: EgressHls
    people: list[str] = attrs.field(factory=lambda: ["ann"])

    def publish(self, *people: str) -> None:
        """Those publish to the room from now on."""
        self.people[:] = people
        self.hub.publishing(KEY, Published(State.LIVE, START, len(people)) if people else None)
        self.egress.publishing()

    async def locate(self) -> str:
        with trio.fail_after(10):
            where = await self.egress.locate(KEY)
            assert where is not None
            return where


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def staged(livekit: FakeEgresses | None = None) -> AsyncIterator[Stage]:
    world, fake = World(), livekit or FakeEgresses()

    async def never(_key: RoomKey) -> None:
        return None

    hub = Hub(world.emit, world.placeholder, never, wall)
    stage = Stage(hub, fake, EgressHls(hub, fake, BASE, read=fake.read))
    stage.egress.publishers = lambda key: stage.people if key == KEY else ()
    stage.publish("ann")
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        nursery.start_soon(stage.egress.run)
        await settle()
        yield stage
        await hub.shutdown(1)
        nursery.cancel_scope.cancel()
    assert hub.totals.room_errors == 0
    if fake.down is None:
        assert fake.running() == [], "an egress goes on"


async def test_locate_when_asked_then_one_egress_runs_until_so_long_after_the_last_request() -> None:
    async with staged() as stage:
        assert stage.livekit.asked == []
        where = await stage.locate()
        assert where == f"{BASE}/{stage.livekit.there['EG_1'].path}/index.m3u8"
        assert stage.egress.active(KEY)
        assert stage.egress.counts() == (1, 1)
        await trio.sleep(EGRESS_LEASE_S - 1)
        assert await stage.locate() == where
        await trio.sleep(EGRESS_LEASE_S - 1)
        assert stage.livekit.running() == ["EG_1"]
        await trio.sleep(2)
        assert (stage.livekit.running(), stage.livekit.stopped) == ([], ["EG_1"])
        assert (stage.egress.active(KEY), stage.hub.get(KEY)) == (False, None)
        assert await stage.locate() != where  # nobody is shown the old list


@pytest.mark.parametrize(("people", "asked"), [(["ann"], "ann"), (["ann", "ben"], None)])
async def test_locate_then_one_publisher_is_taken_alone_and_several_together(
    people: list[str], asked: str | None
) -> None:
    async with staged() as stage:
        stage.publish(*people)
        await stage.locate()
        assert stage.livekit.asked == [(KEY.room, asked)]


async def test_locate_when_nobody_publishes_then_why_and_a_source_on_demand_is_waited_for() -> None:
    async with staged() as stage:
        stage.publish()
        with pytest.raises(Unavailable, match="nobody publishes"):
            await stage.locate()
        async with stage.hub.lease(KEY, publishing=True) as room, trio.open_nursery() as nursery:
            with room.hls.offered():
                nursery.start_soon(stage.locate)
                await settle()
                assert room.demand.watched, "it has to be told that somebody watches"
                assert stage.livekit.asked == []
                stage.publish("pull")
        assert stage.livekit.asked == [(KEY.room, "pull")]


async def test_locate_when_a_camera_sends_pictures_then_its_hls_is_ours() -> None:
    async with staged() as stage, stage.hub.lease(KEY, publishing=True) as room:
        stage.publish()
        stage.egress.cameras = HlsLeases(stage.hub)
        session = Session(KEY, "cam/cam", StreamType.WS_MJPEG, "cam", "wsi_1", started_at=START)
        room.attach(session)
        with room.hls.offered():
            assert await stage.egress.locate(KEY) is None
            order, active = await stage.egress.hold(KEY)
            assert (room.hls.streams["fmp4"].held, active) == (order, False)
            room.detach(session)
            assert await stage.egress.drop(KEY) == order
        assert stage.livekit.asked == []


async def test_hold_then_it_runs_until_dropped_and_names_livekits_egress() -> None:
    async with staged() as stage:
        assert (await stage.egress.hold(KEY))[0] == "EG_1"
        await trio.sleep(10 * EGRESS_LEASE_S)
        assert await stage.egress.hold(KEY) == ("EG_1", True)
        assert await stage.egress.drop(KEY) == "EG_1"
        assert await stage.egress.drop(KEY) is None
        await settle()
        assert stage.livekit.running() == []


async def test_start_when_no_service_takes_it_then_all_are_told_at_once_and_it_is_tried_again(
    logged: Callable[[], str],
) -> None:
    async with staged(FakeEgresses(fails=NO_WORKER)) as stage:
        for attempt in (stage.locate, lambda: stage.egress.hold(KEY)):
            with pytest.raises(StreamHubError) as caught:
                await attempt()
            assert caught.value is NO_WORKER
        assert await stage.egress.drop(KEY) is None, "an order that failed stays none"
        stage.livekit.fails = None
        await trio.sleep(30)
        await stage.locate()
        assert len(stage.livekit.running()) == 1
    assert "Start it." in logged()


async def test_egress_when_it_ends_or_fails_then_another_begins_and_the_reason_is_told() -> None:
    async with staged() as stage:
        first = await stage.locate()
        stage.livekit.change("EG_1", EgressState.ENDED)
        stage.egress.look_soon()  # as a webhook makes it
        await settle()
        assert not stage.egress.active(KEY)
        assert await stage.locate() != first
        stage.livekit.change("EG_2", EgressState.FAILED, "no space left")
        stage.egress.look_soon()
        await settle()
        with pytest.raises(Unavailable, match="no space left") as caught:
            await stage.locate()
        assert caught.value.code == "egress_failed"
        await trio.sleep(PERIOD_S)
        await stage.locate()
        assert stage.livekit.running() == ["EG_3"]


async def test_egress_when_its_service_died_then_the_still_playlist_tells_and_another_begins() -> None:
    async with staged() as stage:
        await stage.locate()
        stage.livekit.silent.add("EG_1")
        await trio.sleep(STALE_S + 30)
        assert stage.livekit.stopped == ["EG_1"]
        assert stage.livekit.running() == ["EG_2"]


async def test_playlist_when_it_cannot_be_read_from_here_then_players_are_sent_there_after_a_while(
    logged: Callable[[], str],
) -> None:
    async with staged(FakeEgresses(hidden=True)) as stage:
        with pytest.raises(trio.TooSlowError):
            await stage.locate()
        await trio.sleep(UNSEEN_S)
        assert (await stage.locate()).startswith(BASE)
        await trio.sleep(2 * STALE_S)
        assert stage.livekit.running() == ["EG_1"]
    assert logged().count("STREAMHUB_EGRESS_BASE_URL") == 1


async def test_server_when_it_starts_then_an_egress_of_before_is_taken_over_and_ends_if_nobody_asks() -> None:
    fake = FakeEgresses()
    path = new_path(KEY)
    fake.put("EG_old", KEY, path)
    async with staged(fake) as stage:
        assert await stage.locate() == f"{BASE}/{path}/index.m3u8"
        assert fake.asked == []
        await trio.sleep(EGRESS_LEASE_S + 1)
        assert fake.running() == []


async def test_egress_of_ours_that_nobody_here_knows_then_it_is_stopped_once_but_not_one_that_is_just_beginning() -> (
    None
):
    fake = FakeEgresses(hold=trio.Event())
    async with staged(fake) as stage, trio.open_nursery() as nursery:
        nursery.start_soon(stage.locate)
        await settle()
        fake.put("EG_late", KEY, new_path(KEY))
        stage.egress.look_soon()
        await settle()
        assert (fake.running(), fake.stopped) == (["EG_1"], ["EG_late"])
        assert fake.hold is not None
        fake.hold.set()


async def test_livekit_when_it_is_away_then_what_runs_is_kept_and_the_problem_told(logged: Callable[[], str]) -> None:
    async with staged() as stage:
        where = await stage.locate()
        stage.livekit.down = DOWN
        await trio.sleep(3 * PERIOD_S)
        assert stage.egress.problem is DOWN
        assert await stage.locate() == where
        stage.livekit.down = None
        await trio.sleep(PERIOD_S)
        assert stage.egress.problem is None
    assert logged().count("cannot look after LiveKit's egresses") == 1


async def test_app_when_deleted_then_its_egresses_stop() -> None:
    async with staged() as stage:
        await stage.egress.hold(KEY)
        room = stage.hub.get(KEY)
        assert room is not None
        room.hls.end()
        await settle()
        assert stage.livekit.running() == []
        stage.publish()
        with pytest.raises((Unavailable, NotFound)):
            await stage.locate()
