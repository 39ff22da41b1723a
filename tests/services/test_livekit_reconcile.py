from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
import trio
import trio.testing

from streamhub.errors import Unavailable
from streamhub.livekit.tokens import TYPE_ATTRIBUTE, VIEWER_ATTRIBUTE, LiveKitKeys
from streamhub.livekit.webhook import REPLAY_WINDOW_S
from streamhub.model.clock import utc_now
from streamhub.model.names import AppName
from streamhub.model.streams import (
    APP_DELETED,
    STREAM_DELETED,
    State,
)
from streamhub.services.apps import AppPatch
from streamhub.services.bundle import Services
from streamhub.services.features import FeaturesPatch
from streamhub.services.livekit_reconcile import GIVE_UP_S, PERIOD_S
from streamhub.store.db import Store
from tests.conftest import Clock
from tests.fakes.hub import Ears
from tests.fakes.livekit import person, track
from tests.services.livekit_scene import ROOM, Scene, make_scene, periods, settle


@pytest.fixture
def wall() -> Clock:
    return Clock(utc_now())


@pytest.fixture
async def scene(services: Services, store: Store, livekit_keys: LiveKitKeys, wall: Clock) -> Scene:
    return make_scene(services, store, livekit_keys, wall)


@pytest.fixture
async def running(scene: Scene) -> AsyncIterator[Scene]:
    """The watch runs, and has looked once."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.watch.run)
        await trio.testing.wait_all_tasks_blocked()
        yield scene
        nursery.cancel_scope.cancel()


async def test_streams_when_every_webhook_is_lost_then_true_within_a_period(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()), person("bob"), person("eve", track(), hidden=True))
    running.livekit.join("nobodys-room", person("x", track()))
    await periods()
    row = await running.row()
    assert row is not None
    assert (row.type, row.state, row.participant, row.ended_at) == ("webrtc", "live", "ann", None)
    assert await running.active() == {"ann"}
    running.livekit.leave("live-demo", "ann")
    running.livekit.join("live-demo", person("bob", track("audio")))
    await periods()
    row = await running.row()
    assert row is not None
    assert (row.state, row.end_reason) == ("ended", "closed")
    assert running.story == ["+ann", "-ann", "+bob"]


async def test_streams_when_a_webhook_comes_then_at_once(running: Scene) -> None:
    running.livekit.join("live-demo", person("cam", track(), attributes={TYPE_ATTRIBUTE: "whip"}))
    before = trio.current_time()
    running.hook("track_published", "EV_1")
    await settle()
    row = await running.row("cam")
    assert row is not None
    assert (row.type, row.state) == ("whip", "live")
    running.livekit.people.clear()
    running.hook("participant_left", "EV_2")
    await settle()
    assert running.story == ["+cam", "-cam"]
    assert trio.current_time() - before < 1


async def test_streams_when_webhooks_are_doubled_and_out_of_order_then_one_start_and_end_each(running: Scene) -> None:
    """Ten people come and go three times; every note is told three times, in any order, many after the fact."""
    chance = random.Random(7)
    names = [f"p{i}" for i in range(10)]
    for stay in range(3):
        for coming in (True, False):
            for name in names:
                if coming:
                    running.livekit.join("live-demo", person(name, track(), sid=f"PA_{name}_{stay}"))
                else:
                    running.livekit.leave("live-demo", name)
            words = ("participant_joined", "track_published", "track_unpublished", "participant_left")
            told = [(w, f"EV_{n}_{w}_{s}") for n in names for w in words for s in range(stay + 1)] * 3
            chance.shuffle(told)
            for word, event_id in told:
                running.hook(word, event_id)
                if chance.random() < 0.02:
                    await settle()
            await periods()
            assert await running.active() == (set(names) if coming else set())
    for name in names:
        assert [s for s in running.story if s[1:] == name] == [f"+{name}", f"-{name}"] * 3


async def test_webhook_when_repeated_then_it_causes_no_second_look(running: Scene) -> None:
    running.hook("participant_joined", "EV_1")
    await settle()
    calls = running.livekit.calls
    for _ in range(20):
        running.hook("participant_joined", "EV_1")
    await settle()
    assert running.livekit.calls == calls
    running.hook("egress_started", "EV_2")
    await settle()
    assert running.livekit.calls == calls


async def test_stream_when_its_participant_comes_back_between_looks_then_it_goes_on(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    first = await running.row()
    running.livekit.join("live-demo", person("ann", track(), sid="PA_2"))
    await periods()
    again = await running.row()
    assert first is not None
    assert again is not None
    assert again.started_at == first.started_at
    assert running.story == ["+ann"]


@pytest.mark.parametrize("linger", [False, True])
async def test_delete_when_a_webrtc_stream_then_its_participant_is_gone_and_the_row_stays_ended(
    running: Scene, linger: bool
) -> None:
    running.livekit.join("live-demo", person("ann", track()), person("bob", track()))
    await periods()
    running.livekit.linger = linger
    assert await running.watch.end_source(ROOM, "live-demo/ann", STREAM_DELETED)
    assert running.livekit.removed == [("live-demo", "ann")]
    await periods(2)
    row = await running.row()
    assert row is not None
    assert (row.state, row.end_reason) == ("ended", "deleted")
    assert await running.active() == {"bob"}
    assert not await running.watch.end_source(ROOM, "live-demo/nobody", STREAM_DELETED)


async def test_delete_when_it_comes_back_later_then_it_is_a_new_publication(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    await running.watch.end_source(ROOM, None, STREAM_DELETED)
    running.livekit.join("live-demo", person("ann", track(), sid="PA_2"))
    await periods()
    assert running.story == ["+ann", "-ann", "+ann"]


async def test_delete_when_livekit_cannot_be_told_then_unavailable_and_nothing_is_claimed(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    running.livekit.down = True
    with pytest.raises(Unavailable):
        await running.watch.end_source(ROOM, None, STREAM_DELETED)
    running.livekit.down = False
    await periods(2)
    assert running.story == ["+ann"]
    row = await running.row()
    assert row is not None
    assert row.state == "live"


async def test_livekit_when_away_then_stale_and_live_again_when_back(running: Scene) -> None:
    running.watch.live = ears = Ears()
    running.livekit.join("live-demo", person("ann", track()), person("bob", track()))
    await periods()
    running.livekit.down = True
    await periods()
    status = running.watch.status(ROOM)
    row = await running.row()
    assert row is not None
    assert status is not None
    assert (row.state, status.state) == ("stale", State.STALE)
    running.livekit.down = False
    running.livekit.leave("live-demo", "bob")
    await periods()
    row = await running.row()
    assert row is not None
    assert row.state == "live"
    assert running.story == ["+ann", "+bob", "-bob"]
    told = [now and (now.state, now.publishers) for _, now in ears.published]
    assert told == [(State.LIVE, 2), (State.STALE, 2), (State.LIVE, 1)]
    assert [onlookers for _, onlookers in ears.looked_on] == [2, 1], "whoever was there is taken to be there still"


async def test_livekit_when_restarted_with_nobody_in_it_then_ended_within_a_period(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    running.livekit.people.clear()
    await periods()
    assert await running.active() == set()


async def test_livekit_when_away_for_long_then_its_streams_end(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    running.livekit.down = True
    await periods(GIVE_UP_S / PERIOD_S)
    assert await running.active() == {"ann"}
    await periods(2)
    row = await running.row()
    assert row is not None
    assert row.end_reason == "livekit_unreachable"
    assert running.watch.statuses() == []
    running.livekit.down = False
    await periods()
    assert running.story == ["+ann", "-ann", "+ann"]


async def test_livekit_when_away_often_but_shortly_then_its_streams_never_end(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    for _ in range(4):
        running.livekit.down = True
        await periods(GIVE_UP_S / PERIOD_S / 2)
        running.livekit.down = False
        await periods()
    assert running.story == ["+ann"]


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_disk_when_it_fails_then_the_next_look_makes_up_for_it(running: Scene, failures: int) -> None:
    running.livekit.join("live-demo", person("ann", track()), person("bob", track()))
    running.ledger.failures = failures
    await periods(failures + 1)
    assert await running.active() == {"ann", "bob"}
    running.livekit.people.clear()
    running.ledger.failures = failures
    await periods(failures + 1)
    assert await running.active() == set()


async def test_private_when_an_app_becomes_so_then_public_viewers_leave_and_stay_out(running: Scene) -> None:
    def public(name: str) -> Any:
        return person(name, hidden=True, attributes={VIEWER_ATTRIBUTE: "public"})

    running.livekit.join("live-demo", person("ann", track()), public("v1"), person("v2", hidden=True))
    await periods()
    await running.watch.end_viewers(AppName("other"))
    assert running.livekit.removed == []
    await running.watch.end_viewers(AppName("live"))
    assert running.livekit.removed == [("live-demo", "v1")]
    app = await running.services.apps.get("live")
    await running.services.apps.patch(app, AppPatch(features=FeaturesPatch(public_playback=False)))
    running.livekit.join("live-demo", public("v3"))
    running.hook("participant_joined", "EV_3")
    await settle()
    assert running.livekit.removed == [("live-demo", "v1"), ("live-demo", "v3")]


async def test_app_when_deleted_then_nobody_is_left_in_its_rooms(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    running.livekit.join("live-two", person("bob"))
    running.livekit.join("other-one", person("ann", track()))
    await periods()
    await running.watch.end_app(AppName("live"), APP_DELETED)
    assert sorted(running.livekit.deleted) == ["live-demo", "live-two"]
    assert [s.key.app for s in running.watch.statuses()] == ["other"]


async def test_app_when_deleted_by_another_process_then_its_rooms_go_within_a_period(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    await running.services.apps.delete(await running.services.apps.get("live"))
    await periods()
    assert running.livekit.deleted == ["live-demo"]
    assert running.watch.statuses() == []


async def test_status_then_the_first_publisher_and_who_watches(running: Scene, wall: Clock) -> None:
    assert running.watch.status(ROOM) is None
    running.livekit.join("live-demo", person("ann", track()), person("v", hidden=True))
    await periods()
    first: datetime = wall.now
    wall.advance(seconds=5)
    running.livekit.join("live-demo", person("bob", track(width=640, height=360)))
    await periods()
    status = running.watch.status(ROOM)
    assert status is not None
    assert status.source is not None
    assert (status.state, status.since, status.viewers) == (State.LIVE, first, {"webrtc": 1})
    assert (status.source.participant, status.source.width, status.source.codec) == ("ann", 1280, "vp8")
    other = running.watch.source_status(ROOM, "live-demo/bob")
    assert other is not None
    assert other.source is not None
    assert other.source.width == 640
    assert running.watch.source_status(ROOM, "live-demo/v") is None


async def test_stop_then_everything_has_ended_and_later_looks_change_nothing(running: Scene) -> None:
    running.livekit.join("live-demo", person("ann", track()))
    await periods()
    await running.watch.stop()
    await periods(2)
    row = await running.row()
    assert row is not None
    assert row.end_reason == "server_stopping"
    assert running.story == ["+ann", "-ann"]


async def test_watch_when_there_is_no_livekit_then_nothing_is_asked(scene: Scene) -> None:
    scene.watch.present = lambda: False
    with trio.move_on_after(3 * PERIOD_S):
        await scene.watch.run()
    assert scene.livekit.calls == 0


async def test_rooms_when_there_are_many_then_all_are_followed(running: Scene) -> None:
    for number in range(60):
        running.livekit.join(f"live-{number}", person(f"p{number}", track()))
    await periods()
    assert len(await running.active()) == 60


async def test_webhooks_when_very_many_then_what_is_remembered_of_them_passes(scene: Scene) -> None:
    for number in range(50):
        scene.hook("participant_joined", f"EV_{number}")
    await trio.sleep(REPLAY_WINDOW_S + 1)
    scene.hook("participant_joined", "EV_last")
    assert list(scene.watch._seen) == ["EV_last"]
