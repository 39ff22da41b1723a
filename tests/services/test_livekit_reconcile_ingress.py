"""LiveKit's ingress service as seen in its rooms: participants of its own kind, and hints by webhooks."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import pytest
import trio

from streamhub.livekit.participants import Kind, Participant
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.clock import utc_now
from streamhub.model.names import AppName
from streamhub.model.streams import APP_DELETED, StreamType
from streamhub.services.bundle import Services
from streamhub.store.db import Store
from tests.conftest import Clock
from tests.fakes.livekit import person, track
from tests.services.livekit_scene import Scene, make_scene, periods, settle


@pytest.fixture
def wall() -> Clock:
    return Clock(utc_now())


@pytest.fixture
async def scene(services: Services, store: Store, livekit_keys: LiveKitKeys, wall: Clock) -> Scene:
    return make_scene(services, store, livekit_keys, wall)


@attrs.define
class Ingresses:
    """Says that all is WHIP, until told otherwise; ``woken`` counts hints."""

    kind: StreamType = StreamType.WHIP
    woken: int = 0
    asked: int = 0

    def look_soon(self) -> None:
        self.woken += 1

    async def stream_types(self, _room: str, people: Iterable[Participant]) -> dict[str, StreamType]:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        return {p.sid: self.kind for p in people}


async def test_ingress_of_livekits_then_one_start_and_end_of_one_type_whatever_webhooks_say(scene: Scene) -> None:
    """``ingress_started`` comes twice and late, a failure as ``ingress_ended``; knowledge of the type changes."""
    scene.watch.ingresses = ingresses = Ingresses()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.watch.run)
        await settle()
        scene.hook("ingress_started", "EV_1")
        await settle()
        assert scene.story == []  # nobody is in the room yet
        scene.livekit.join("live-demo", person("obs", track(), kind=Kind.INGRESS))
        scene.hook("ingress_started", "EV_2")
        scene.hook("ingress_started", "EV_2")
        scene.hook("track_published", "EV_3")
        await settle()
        ingresses.kind = StreamType.RTMP
        await periods(2)
        row = await scene.row("obs")
        assert row is not None
        assert (row.type, scene.story) == ("whip", ["+obs"])
        scene.livekit.leave("live-demo", "obs")
        scene.hook("ingress_ended", "EV_4")
        scene.hook("ingress_started", "EV_5")
        await periods()
        assert scene.story == ["+obs", "-obs"]
        assert (ingresses.woken, ingresses.asked) == (4, 1)
        nursery.cancel_scope.cancel()


async def test_app_when_deleted_then_whoever_follows_its_ingresses_looks(scene: Scene) -> None:
    scene.watch.ingresses = ingresses = Ingresses()
    await scene.watch.end_app(AppName("live"), APP_DELETED)
    assert ingresses.woken == 1
