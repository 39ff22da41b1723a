from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock

from streamhub.model.access import CameraGrant, CameraHello
from streamhub.model.streams import APP_DELETED, KEY_REVOKED
from streamhub.services.apps import AppPatch
from streamhub.services.bundle import Services
from streamhub.services.features import FeaturesPatch
from streamhub.services.fields import Paging
from streamhub.services.keys import IssuedKey, NewKey
from streamhub.services.live import NoRooms
from streamhub.services.reconcile import PERIOD_S
from streamhub.services.sealing import SecretBox
from streamhub.store.db import Store, inline, open_store
from tests.conftest import Clock
from tests.fakes.hub import FakeHub
from tests.fakes.ledger import DirectLedger


@pytest.fixture
async def beside(store: Store, services: Services) -> AsyncIterator[Services]:
    """Another process on the same database: the command line."""
    async with open_store(store.path, runner=inline) as other:
        yield services_over(other, services)


def services_over(store: Store, like: Services) -> Services:
    from streamhub.services.bundle import build_services

    return build_services(
        store,
        NoRooms(),
        DirectLedger(store),
        box=SecretBox(b"k" * 32),
        livekit=like.access.livekit,
        data_dir=store.path.parent,
        now=like.access.now,
    )


async def connect(services: Services, hub: FakeHub, room: str = "cam1") -> IssuedKey:
    """A camera with a key of its own, admitted and live."""
    key = await services.keys.create(await services.apps.get("live"), NewKey(room=room))
    await admit(services, hub, key)
    return key


async def admit(services: Services, hub: FakeHub, key: IssuedKey) -> None:
    hello = CameraHello("live", key.key.room, key.secret, None, "192.0.2.1")
    assert isinstance(await services.access.authorise_camera(hello), CameraGrant)
    hub.go_live("live", key.key.room, key_id=key.key.id)


async def test_sweep_when_all_is_well_then_nobody_is_ended(services: Services, fake_hub: FakeHub) -> None:
    await connect(services, fake_hub)
    assert await services.reconciler.sweep() == 0
    assert fake_hub.orders == []


async def test_sweep_when_another_process_revoked_a_key_then_that_camera_alone_leaves(
    services: Services, beside: Services, fake_hub: FakeHub
) -> None:
    gone = await connect(services, fake_hub, "cam1")
    await connect(services, fake_hub, "cam2")
    await beside.keys.revoke(await beside.apps.get("live"), gone.key.id)
    assert await services.reconciler.sweep() == 1
    assert fake_hub.orders == [("live/live-cam1", KEY_REVOKED)]
    assert gone.key.id not in services.access.admitted


async def test_sweep_when_another_process_rotated_a_key_then_the_camera_on_the_old_one_leaves(
    services: Services, beside: Services, fake_hub: FakeHub
) -> None:
    key = await connect(services, fake_hub)
    new = await beside.keys.rotate(await beside.apps.get("live"), key.key.id)
    assert await services.reconciler.sweep() == 1
    assert fake_hub.orders == [("live/live-cam1", KEY_REVOKED)]
    # With the new secret it comes back and stays.
    await admit(services, fake_hub, new)
    assert await services.reconciler.sweep() == 0


async def test_sweep_when_another_process_deleted_an_app_then_its_rooms_end(
    services: Services, beside: Services, fake_hub: FakeHub
) -> None:
    fake_hub.go_live("live", "live-cam1", viewers=3)
    fake_hub.go_live("other", "other-cam1")
    await beside.apps.delete(await beside.apps.get("live"))
    assert await services.reconciler.sweep() == 1
    assert fake_hub.orders == [("live/live-cam1", APP_DELETED)]


async def test_sweep_when_another_process_made_an_app_private_then_its_viewers_must_ask_again(
    services: Services, beside: Services, fake_hub: FakeHub
) -> None:
    closed = AppPatch(features=FeaturesPatch(public_playback=False))
    await beside.apps.patch(await beside.apps.get("other"), closed)
    await services.reconciler.sweep()
    assert fake_hub.dismissed == []  # it was private before the server looked for the first time
    await beside.apps.patch(await beside.apps.get("live"), closed)
    await services.reconciler.sweep()
    await services.reconciler.sweep()
    assert fake_hub.dismissed == ["live"]


async def test_tick_when_nothing_changed_then_no_sweep_after_the_second_look(
    services: Services, fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps = []

    async def sweep(self: object) -> int:
        sweeps.append(1)
        return 0

    monkeypatch.setattr(type(services.reconciler), "sweep", sweep)
    for _ in range(5):
        await services.reconciler.tick()
    # The first tick and its second look.
    assert len(sweeps) == 2
    await connect(services, fake_hub)
    for _ in range(5):
        await services.reconciler.tick()
    # Its key, and then "last used", are two changes in one tick; then the second look.
    assert len(sweeps) == 4


async def test_tick_when_the_camera_connects_just_after_its_revocation_then_the_second_look_ends_it(
    services: Services, fake_hub: FakeHub
) -> None:
    await services.reconciler.tick()
    await services.reconciler.tick()
    app = await services.apps.get("live")
    key = await services.keys.create(app, NewKey(room="cam1"))
    hello = CameraHello("live", "cam1", key.secret, None, "192.0.2.1")
    assert isinstance(await services.access.authorise_camera(hello), CameraGrant)
    await services.keys.revoke(app, key.key.id)
    await services.reconciler.tick()
    fake_hub.go_live("live", "live-cam1", key_id=key.key.id)  # the session opens only now
    await services.reconciler.tick()
    assert fake_hub.orders == [("live/live-cam1", KEY_REVOKED)]


async def test_run_then_about_every_second_and_a_last_write_when_cancelled(
    services: Services, beside: Services, fake_hub: FakeHub, autojump_clock: MockClock, wall: Clock
) -> None:
    key = await connect(services, fake_hub)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(services.reconciler.run)
            await trio.sleep(0.5)
            await beside.keys.revoke(await beside.apps.get("live"), key.key.id)
            await trio.sleep(PERIOD_S)
            assert fake_hub.orders == [("live/live-cam1", KEY_REVOKED)]
            second = await connect(services, fake_hub, "cam2")
            nursery.cancel_scope.cancel()
    found = (await services.keys.page(await services.apps.get("live"), Paging())).items
    assert [(k.id, k.last_used_at) for k in found] == [(second.key.id, wall.now)]
