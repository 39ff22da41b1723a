"""What the tests of LiveKit's rooms stand on: a fake LiveKit, a watch over it, a real store, a ledger that may fail."""

from __future__ import annotations

import attrs
import trio
import trio.testing

from streamhub.errors import StoreError
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.clock import utc_now
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import StreamEnded, StreamEvent, StreamStarted
from streamhub.services.bundle import Services
from streamhub.services.livekit_reconcile import PERIOD_S, LiveKitWatch
from streamhub.store import streams as stream_rows
from streamhub.store.db import Store
from streamhub.store.streams import StreamRow
from tests.conftest import Clock
from tests.fakes.ledger import DirectLedger
from tests.fakes.livekit import FakeLiveKit, note, sign

ROOM = RoomKey(AppName("live"), RoomName("live-demo"))


@attrs.define
class Flaky:
    """A ledger whose disk fails ``failures`` times."""

    inner: DirectLedger
    failures: int = 0

    async def apply(self, event: StreamEvent) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        await self.inner.apply(event)


@attrs.define
class Scene:
    livekit: FakeLiveKit
    watch: LiveKitWatch
    store: Store
    ledger: Flaky
    keys: LiveKitKeys
    services: Services
    wall: Clock

    @property
    def applied(self) -> list[StreamEvent]:
        return self.ledger.inner.applied

    @property
    def story(self) -> list[str]:
        """Starts and ends in order."""
        marks = {StreamStarted: "+", StreamEnded: "-"}
        return [marks[type(e)] + e.stream_id.partition("/")[2] for e in self.applied if type(e) in marks]

    def hook(self, name: str, event_id: str, room: str = "live-demo") -> None:
        # The signature bears the true time; on a busy machine the clock that stands still would soon be too old for it.
        self.wall.now = max(self.wall.now, utc_now())
        body = note(name, room, event_id=event_id)
        self.watch.receive(body, sign(self.keys, body))

    async def row(self, identity: str = "ann", room: str = "live-demo") -> StreamRow | None:
        app = await self.services.apps.get("live")
        return await self.store.read(stream_rows.by_stream_id, app.id, f"{room}/{identity}")

    async def active(self) -> set[str]:
        app = await self.services.apps.get("live")
        rows, _ = await self.store.read(stream_rows.active_page, app.id, 500, 0)
        return {r.stream_id.partition("/")[2] for r in rows}


def make_scene(services: Services, store: Store, livekit_keys: LiveKitKeys, wall: Clock) -> Scene:
    """Nothing runs yet."""
    ledger = Flaky(DirectLedger(store))
    fake = FakeLiveKit()
    watch = LiveKitWatch(fake, livekit_keys, store, ledger, wall)
    return Scene(fake, watch, store, ledger, livekit_keys, services, wall)


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def periods(count: float = 1) -> None:
    """So many full looks happen, and end."""
    await trio.sleep(count * PERIOD_S)
    await settle()
