from __future__ import annotations

from typing import Any

import attrs
import pytest

from streamhub.livekit.tokens import TYPE_ATTRIBUTE, VIEWER_ATTRIBUTE
from streamhub.model.clock import utc_now
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import APP_DELETED, STREAM_DELETED, StreamType
from streamhub.services.all_rooms import AllRooms
from streamhub.services.bundle import Services
from streamhub.services.livekit_reconcile import LiveKitWatch
from streamhub.store.db import Store
from tests.fakes.hub import Ears, FakeHub
from tests.fakes.ledger import DirectLedger
from tests.fakes.livekit import FakeLiveKit, person, track

LIVE = AppName("live")
ROOM, OTHER = RoomKey(LIVE, RoomName("live-demo")), RoomKey(LIVE, RoomName("live-two"))


@pytest.fixture
def livekit() -> FakeLiveKit:
    return FakeLiveKit()


@pytest.fixture
async def rooms(
    services: Services, store: Store, fake_hub: FakeHub, livekit_keys: Any, livekit: FakeLiveKit
) -> AllRooms:
    """A camera and a publisher with a viewer in one room, a publisher in another."""
    watch = LiveKitWatch(livekit, livekit_keys, store, DirectLedger(store), utc_now)
    fake_hub.go_live("live", "live-demo", viewers=2)
    livekit.join(
        "live-demo", person("ann", track()), person("eve", hidden=True, attributes={VIEWER_ATTRIBUTE: "public"})
    )
    livekit.join("live-two", person("bob", track("audio")))
    await watch.reconcile()
    return AllRooms(fake_hub, watch)


async def test_status_when_a_room_is_in_both_then_the_camera_and_the_viewers_of_both(rooms: AllRooms) -> None:
    status = rooms.status(ROOM)
    assert status is not None
    assert status.source is not None
    assert (status.source.type, status.viewers) == (StreamType.WS_MJPEG, {"mjpeg": 2, "ws": 0, "webrtc": 1})
    assert rooms.status(RoomKey(LIVE, RoomName("live-none"))) is None


async def test_status_when_the_camera_is_gone_but_viewers_stay_then_the_publisher(
    rooms: AllRooms, fake_hub: FakeHub
) -> None:
    fake_hub.rooms[ROOM] = attrs.evolve(fake_hub.rooms[ROOM], source=None)
    status = rooms.status(ROOM)
    assert status is not None
    assert status.source is not None
    assert (status.source.participant, status.viewers["mjpeg"]) == ("ann", 2)


async def test_stream_status_then_that_stream_of_several(rooms: AllRooms) -> None:
    for stream_id, kind in (("live-demo/cam", StreamType.WS_MJPEG), ("live-demo/ann", StreamType.WEBRTC)):
        status = rooms.stream_status(ROOM, stream_id)
        assert status is not None
        assert status.source is not None
        assert (status.source.type, status.viewers["webrtc"], status.viewers["mjpeg"]) == (kind, 1, 2)
    found = rooms.stream_status(ROOM, "live-demo/eve")
    assert found is None or found.source is None or found.source.stream_id != "live-demo/eve"


async def test_statuses_then_each_room_once(rooms: AllRooms) -> None:
    assert sorted(s.key.room for s in rooms.statuses()) == ["live-demo", "live-two"]
    assert rooms.statuses(AppName("other")) == []


async def test_end_source_then_where_it_is(rooms: AllRooms, fake_hub: FakeHub, livekit: FakeLiveKit) -> None:
    assert await rooms.end_source(ROOM, "live-demo/ann", STREAM_DELETED)
    assert livekit.removed == [("live-demo", "ann")]
    assert fake_hub.orders == []
    assert await rooms.end_source(ROOM, "live-demo/cam", STREAM_DELETED)
    assert fake_hub.orders == [("live/live-demo", STREAM_DELETED)]
    assert not await rooms.end_source(ROOM, "live-demo/ann", STREAM_DELETED)


async def test_live_when_people_come_and_go_then_it_hears_how_many_publish_and_how_many_may_watch(
    rooms: AllRooms, livekit: FakeLiveKit
) -> None:
    rooms.watch.live = ears = Ears()
    livekit.join("live-demo", person("joe", track()))
    # What we bring in ourselves looks at nothing; nor does who may not.
    ours = person("cam", track(), attributes={TYPE_ATTRIBUTE: "ws-mjpeg"})
    livekit.join("live-demo", ours, person("mike", may_watch=False))
    await rooms.watch.reconcile()
    await rooms.end_source(ROOM, "live-demo/ann", STREAM_DELETED)
    livekit.leave("live-demo", "joe")
    await rooms.watch.reconcile()
    assert [p.publishers if p else 0 for key, p in ears.published if key == ROOM] == [2, 1, 0]
    assert [n for key, n in ears.looked_on if key == ROOM] == [3, 1], "ann, joe and hidden eve; then eve"
    await rooms.watch.end_app(LIVE, APP_DELETED)
    assert ears.looked_on[-1][1] == 0


async def test_end_app_then_in_both_and_a_livekit_out_of_reach_is_logged(
    rooms: AllRooms, fake_hub: FakeHub, livekit: FakeLiveKit
) -> None:
    livekit.down = True
    await rooms.end_app(LIVE, APP_DELETED)
    assert fake_hub.rooms == {}
    livekit.down = False
    await rooms.end_app(LIVE, APP_DELETED)
    assert sorted(livekit.deleted) == ["live-demo", "live-two"]


async def test_end_viewers_when_livekit_is_out_of_reach_then_ours_leave_all_the_same(
    rooms: AllRooms, fake_hub: FakeHub, livekit: FakeLiveKit
) -> None:
    livekit.down = True
    await rooms.end_viewers(LIVE)
    assert fake_hub.dismissed == [LIVE]
    livekit.down = False
    await rooms.end_viewers(LIVE)
    assert livekit.removed == [("live-demo", "eve")]
