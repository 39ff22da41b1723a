from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import StoreError, Unavailable
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import APP_DELETED, KEY_REVOKED, SERVER_STOPPING, STREAM_DELETED, State
from streamhub.rooms.hub import LAST_SEEN_DEADLINE_S, Hub
from streamhub.rooms.room import Room
from streamhub.rooms.session import Session
from tests.rooms.fakes import KEY, World, at, session, wall
from tests.rooms.test_room import Watcher
from tests.support.media import jpeg

OTHER = RoomKey(AppName("other"), RoomName("other-cam1"))
LIVE = jpeg(1)


@attrs.define(eq=False)
class Site:
    """A running hub and what it asks for."""

    world: World = attrs.field(factory=World)
    seen: dict[RoomKey, datetime] = attrs.field(factory=dict)
    asked: list[RoomKey] = attrs.field(factory=list)
    looking_s: float = 0.0
    store_fails: bool = False
    hub: Hub = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.hub = Hub(self.world.emit, self.world.placeholder, self.last_seen, wall)

    async def last_seen(self, key: RoomKey) -> datetime | None:
        self.asked.append(key)
        await trio.sleep(self.looking_s)
        if self.store_fails:
            raise StoreError("no database")
        return self.seen.get(key)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hub]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.hub.run)
            yield self.hub
            nursery.cancel_scope.cancel()

    async def camera(
        self,
        key: RoomKey,
        one: Session,
        leaving_s: float = 0.0,
        *,
        task_status: trio.TaskStatus[Room] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """What a door does: lease, attach, stay until told to leave, detach."""
        async with self.hub.lease(key) as room:
            room.attach(one)
            await room.publish(one, LIVE)
            task_status.started(room)
            with one.scope:
                await room.host("ingest", trio.sleep_forever)
            await trio.sleep(leaving_s)
            room.detach(one)
            one.ended.set()


async def test_lease_when_the_last_user_gives_it_back_then_the_room_is_gone() -> None:
    site = Site()
    async with site.running() as hub:
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with hub.lease(KEY) as room:
            async with hub.lease(KEY) as same:
                assert same is room
                assert room.users == 2
            assert hub.get(KEY) is room
        assert hub.get(KEY) is None
        assert hub.status(KEY) is None
        await room.closed.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_lease_when_many_come_at_once_then_the_room_is_opened_once() -> None:
    site, rooms = Site(looking_s=1), []

    async def use() -> None:
        async with site.hub.lease(KEY) as room:
            rooms.append(room)
            await trio.sleep(1)

    async with site.running() as hub:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(use)
        assert len(set(rooms)) == 1
        assert rooms[0].users == 0
        assert hub.get(KEY) is None


async def test_lease_when_the_room_was_seen_before_then_it_is_offline_since_then() -> None:
    site = Site(seen={KEY: at(-3600)})
    async with site.running() as hub, hub.lease(KEY) as room:
        status = hub.status(KEY)
        assert status is not None
        assert (status.state, status.since) == (State.OFFLINE, at(-3600))
        assert room.liveness.since == at(-3600)


async def test_lease_when_the_block_fails_then_it_is_given_back() -> None:
    site = Site()
    async with site.running() as hub:
        with pytest.raises(KeyError):
            async with hub.lease(KEY):
                raise KeyError("bug")
        assert hub.statuses() == []


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0])
async def test_acquire_when_cancelled_then_no_room_is_left(after_s: float) -> None:
    site = Site(looking_s=1)
    async with site.running() as hub:
        tasks = trio.lowlevel.current_statistics().tasks_living
        with trio.move_on_after(after_s):
            await hub.acquire(KEY)
            await trio.sleep_forever()
        await trio.testing.wait_all_tasks_blocked()
        if (room := hub.get(KEY)) is not None:  # it was acquired in the very moment
            hub.release(room)
            await room.closed.wait()
            await trio.testing.wait_all_tasks_blocked()
        assert hub.statuses() == []
        assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_acquire_when_cancelled_before_the_room_runs_then_the_room_does_not_stay_for_ever() -> None:
    site = Site()

    async def at_once(_key: RoomKey) -> None:  # no checkpoint: as a cache would answer
        scope.cancel()

    site.hub.last_seen = at_once
    async with site.running() as hub:
        tasks = trio.lowlevel.current_statistics().tasks_living
        with trio.CancelScope() as scope:
            await hub.acquire(KEY)
        assert scope.cancelled_caught
        await trio.testing.wait_all_tasks_blocked()
        assert hub.statuses() == []
        assert trio.lowlevel.current_statistics().tasks_living == tasks


@pytest.mark.parametrize(("fails", "looking_s"), [(True, 0), (False, 3600)], ids=["fails", "hangs"])
async def test_acquire_when_the_store_is_in_trouble_then_the_room_opens_in_time_without_a_date(
    fails: bool, looking_s: float
) -> None:
    site = Site(store_fails=fails, looking_s=looking_s, seen={KEY: at(-1)})
    async with site.running() as hub, hub.lease(KEY) as room:
        assert room.liveness.since is None
        assert trio.current_time() == (0 if fails else LAST_SEEN_DEADLINE_S)


async def test_acquire_when_somebody_comes_to_publish_then_the_store_is_not_waited_for() -> None:
    site = Site(looking_s=3600)
    async with site.running() as hub, hub.lease(KEY, publishing=True) as room:
        assert site.asked == []
        assert hub.get(KEY) is room


async def test_room_when_it_crashes_then_it_is_reported_and_opened_anew_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site()

    async def crash(room: Room) -> None:
        try:
            room.opened.set()
            await trio.sleep(1)
            raise RuntimeError("a bug in the room itself")
        finally:
            room.closed.set()

    async with site.running() as hub:
        async with hub.lease(OTHER) as other:
            with monkeypatch.context() as patched:
                patched.setattr(Room, "run", crash)
                broken = await hub.acquire(KEY)
                await trio.sleep(2)
            assert hub.get(KEY) is None
            assert hub.totals.room_errors == 1
            async with hub.lease(KEY) as fresh:
                assert fresh is not broken
                hub.release(broken)
                assert hub.get(KEY) is fresh  # a late release of the old one does not harm
            assert hub.get(OTHER) is other


async def test_viewer_task_when_it_crashes_then_the_hub_counts_it_and_the_room_goes_on() -> None:
    site = Site()

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("bug")

    async with site.running() as hub, hub.lease(KEY) as room:
        room.adopt("viewer", fail)
        await trio.testing.wait_all_tasks_blocked()
        assert hub.totals.room_errors == 1
        assert not room.closed.is_set()


async def test_counts_when_rooms_are_open_then_they_are_by_app_and_state() -> None:
    site, one, two = Site(), session(), session("other-cam1/one", None)
    async with site.running() as hub, trio.open_nursery() as nursery:
        room = await nursery.start(site.camera, KEY, one)
        await nursery.start(site.camera, OTHER, two)
        watcher = Watcher(room)
        async with hub.lease(RoomKey(AppName("live"), RoomName("live-empty"))):
            assert Counter(s.state for s in hub.statuses()) == {State.LIVE: 2, State.OFFLINE: 1}
            assert len(hub.statuses()) == 3
            assert [s.key for s in hub.statuses(AppName("other"))] == [OTHER]
        assert (hub.viewer_count(AppName("live")), hub.viewer_count(AppName("other"))) == (1, 0)
        assert (hub.camera_count(AppName("live")), hub.camera_count(AppName("none"))) == (1, 0)
        assert hub.live_key_ids() == {"wsi_1"}
        room.remove_viewer(watcher.viewer)
        nursery.cancel_scope.cancel()
    assert hub.statuses() == []


async def test_end_source_when_the_stream_is_live_then_it_returns_after_it_has_really_left() -> None:
    site, one = Site(), session()
    async with site.running() as hub, trio.open_nursery() as nursery:
        await nursery.start(site.camera, KEY, one, 2.0)
        assert not await hub.end_source(KEY, "live-cam1/somebody-else", STREAM_DELETED)
        assert not await hub.end_source(OTHER, None, STREAM_DELETED)
        assert one.order is None
        assert await hub.end_source(KEY, one.stream_id, STREAM_DELETED)
        assert trio.current_time() == 2.0
        assert one.order is STREAM_DELETED
        assert one.ended.is_set()
        assert not await hub.end_source(KEY, None, STREAM_DELETED)


async def test_end_key_when_the_key_is_in_use_then_only_its_source_leaves() -> None:
    site, one, two = Site(), session(), session("other-cam1/one", "wsi_2")
    async with site.running() as hub, trio.open_nursery() as nursery:
        await nursery.start(site.camera, KEY, one)
        await nursery.start(site.camera, OTHER, two)
        assert not await hub.end_key("wsi_3", KEY_REVOKED)
        assert await hub.end_key("wsi_2", KEY_REVOKED)
        assert two.order is KEY_REVOKED
        assert one.order is None
        nursery.cancel_scope.cancel()


async def test_end_app_when_it_has_sources_and_viewers_then_all_of_them_leave_and_no_others() -> None:
    site, one, two = Site(), session(), session("other-cam1/one", "wsi_2")
    async with site.running() as hub, trio.open_nursery() as nursery:
        room = await nursery.start(site.camera, KEY, one, 1.0)
        other = await nursery.start(site.camera, OTHER, two)
        mine, theirs = Watcher(room), Watcher(other)
        await trio.testing.wait_all_tasks_blocked()
        await hub.end_app(AppName("live"), APP_DELETED)
        assert one.order is APP_DELETED
        assert one.ended.is_set()
        assert mine.viewer.end_reason == "withdrawn"
        assert two.order is None
        assert theirs.viewer.end_reason == "left"
        nursery.cancel_scope.cancel()


async def look_until_dismissed(hub: Hub) -> None:
    """A room with a viewer and no source."""
    async with hub.lease(OTHER) as room:
        watcher = Watcher(room)
        await watcher.ended.wait()


async def test_shutdown_when_cameras_leave_in_time_then_it_returns_as_soon_as_the_last_has() -> None:
    site, one = Site(), session()
    async with trio.open_nursery() as nursery:
        await nursery.start(site.hub.run)
        room = await nursery.start(site.camera, KEY, one, 0.5)
        watcher = Watcher(room)
        nursery.start_soon(look_until_dismissed, site.hub)
        await trio.testing.wait_all_tasks_blocked()
        await site.hub.shutdown(2)
        assert trio.current_time() == 0.5
        assert one.order is SERVER_STOPPING
        assert watcher.viewer.end_reason == "dismissed"
        with pytest.raises(Unavailable):
            await site.hub.acquire(KEY)
    assert site.hub.statuses() == []


async def test_shutdown_when_a_camera_does_not_leave_then_its_room_is_closed_after_the_grace() -> None:
    site, one = Site(), session()
    async with trio.open_nursery() as nursery:
        await nursery.start(site.hub.run)
        room = await nursery.start(site.camera, KEY, one, 3600)
        await site.hub.shutdown(2)
        assert trio.current_time() == 2
        await room.closed.wait()
        nursery.cancel_scope.cancel()
    assert site.hub.statuses() == []


async def test_acquire_when_the_hub_does_not_run_then_it_is_unavailable() -> None:
    site = Site()
    with pytest.raises(Unavailable):
        await site.hub.acquire(KEY)
    await site.hub.shutdown(1)  # nothing to do, and no error
    other = Site()
    async with other.running():
        pass
    with pytest.raises(Unavailable):
        await other.hub.acquire(KEY)


def test_totals_when_frames_are_dropped_then_they_are_counted_by_reason() -> None:
    hub = Site().hub
    hub.totals.drop("fps")
    hub.totals.drop("fps", 4)
    hub.totals.drop("too_large")
    assert hub.totals.dropped == {"fps": 5, "too_large": 1}
