from __future__ import annotations

from datetime import datetime

import pytest

from streamhub.errors import NotFound
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import STREAM_DELETED, State, StreamEnded, StreamStarted, StreamType
from streamhub.services.apps import AppPatch
from streamhub.services.bundle import Services
from streamhub.services.features import FeaturesPatch
from streamhub.services.fields import Paging
from tests.conftest import Clock
from tests.fakes.hub import FakeHub


async def start(services: Services, room: str = "live-cam1", identity: str = "cam", at: datetime | None = None) -> None:
    key = RoomKey(AppName("live"), RoomName(room))
    when = at or services.streams.now()
    event = StreamStarted(key, f"{room}/{identity}", StreamType.WS_MJPEG, identity, when, "wsi_1")
    await services.streams.ledger.apply(event)


async def test_get_when_live_then_row_and_room_together(services: Services, fake_hub: FakeHub) -> None:
    await start(services)
    source = fake_hub.go_live("live", "live-cam1", viewers=2)
    stream = await services.streams.get(await services.apps.get("live"), "live-cam1/cam")
    assert (stream.state, stream.source, stream.viewers) == (State.LIVE, source, {"mjpeg": 2, "ws": 0})
    assert stream.last_stats_json == '{"rssi":-60}'
    assert stream.row.type == "ws-mjpeg"


async def test_get_when_its_room_has_another_source_then_the_row_alone(services: Services, fake_hub: FakeHub) -> None:
    await start(services)
    fake_hub.go_live("live", "live-cam1", identity="somebody")
    stream = await services.streams.get(await services.apps.get("live"), "live-cam1/cam")
    assert (stream.state, stream.source, stream.viewers) == (State.CONNECTING, None, None)


async def test_get_when_the_room_is_spelled_short_then_found(services: Services) -> None:
    await start(services)
    app = await services.apps.get("live")
    assert (await services.streams.get(app, "cam1/cam")).row.stream_id == "live-cam1/cam"
    for wrong in ("cam1", "cam1/other", "live-cam1", "/", ""):
        with pytest.raises(NotFound):
            await services.streams.get(app, wrong)


async def test_get_when_of_another_app_then_not_found(services: Services) -> None:
    await start(services)
    with pytest.raises(NotFound):
        await services.streams.get(await services.apps.get("other"), "live-cam1/cam")


async def test_get_when_ended_then_still_found(services: Services, fake_hub: FakeHub, wall: Clock) -> None:
    await start(services)
    app = await services.apps.get("live")
    wall.advance(seconds=9)
    key = RoomKey(AppName("live"), RoomName("live-cam1"))
    await services.streams.ledger.apply(StreamEnded(key, "live-cam1/cam", "closed", wall.now))
    # The next publication of the room is another stream.
    fake_hub.go_live("live", "live-cam1")
    stream = await services.streams.get(app, "live-cam1/cam")
    assert (stream.state, stream.row.ended_at, stream.source) == (State.ENDED, wall.now, None)
    assert (await services.streams.page(app, Paging())).total == 0


async def test_delete_when_live_then_disconnected_and_ended(services: Services, fake_hub: FakeHub) -> None:
    await start(services)
    fake_hub.go_live("live", "live-cam1")
    app = await services.apps.get("live")
    await services.streams.delete(app, "live-cam1/cam")
    assert fake_hub.orders == [("live/live-cam1", STREAM_DELETED)]
    assert (await services.streams.get(app, "live-cam1/cam")).row.end_reason == "deleted"


async def test_delete_when_nobody_publishes_it_any_more_then_the_row_ends(services: Services) -> None:
    await start(services)
    app = await services.apps.get("live")
    await services.streams.delete(app, "live-cam1/cam")
    ended = await services.streams.get(app, "live-cam1/cam")
    assert ended.state is State.ENDED
    await services.streams.delete(app, "live-cam1/cam")
    assert (await services.streams.get(app, "live-cam1/cam")).row == ended.row


async def test_delete_when_unknown_then_not_found(services: Services) -> None:
    with pytest.raises(NotFound):
        await services.streams.delete(await services.apps.get("live"), "live-cam1/cam")


async def test_rooms_then_only_those_with_a_source_of_the_app(services: Services, fake_hub: FakeHub) -> None:
    fake_hub.go_live("live", "live-b", viewers=1)
    fake_hub.go_live("live", "live-a")
    fake_hub.go_live("other", "other-c")
    assert [r.room for r in services.streams.rooms(await services.apps.get("live"))] == ["live-a", "live-b"]


async def test_public_rooms_then_only_of_apps_with_a_public_wall(services: Services, fake_hub: FakeHub) -> None:
    fake_hub.go_live("live", "live-a")
    fake_hub.go_live("other", "other-c")
    assert await services.streams.public_rooms() == []
    live = await services.apps.get("live")
    live = await services.apps.patch(live, AppPatch(features=FeaturesPatch(public_wall=True)))
    assert [str(k) for k in await services.streams.public_rooms()] == ["live/live-a"]
    await services.apps.patch(live, AppPatch(features=FeaturesPatch(public_playback=False)))
    assert await services.streams.public_rooms() == []
