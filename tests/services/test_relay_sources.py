"""What the rows say about sources of relays, on a real store; and when relays must end."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import Forbidden, Invalid, NotFound, Unauthorized, Unavailable
from streamhub.model.ingress import InputType
from streamhub.model.relays import RelayGrant, SourceUnusable
from streamhub.net.guard import OutboundRules
from streamhub.services.apps import App, AppPatch
from streamhub.services.bundle import Services
from streamhub.services.ingress_values import IngressPatch, IssuedIngress, NewIngress
from streamhub.services.relay_sources import PROBE_S, RelaySources
from streamhub.services.sealing import SecretBox, digest
from streamhub.store import ingress as rows
from streamhub.store.db import Store
from tests.conftest import Clock
from tests.fakes.relay_supervisor import FakeRelays

URL = "rtsp://admin:hunter22@192.168.1.20/1"


@attrs.define
class Scene:
    services: Services
    store: Store
    sources: RelaySources
    relays: FakeRelays
    app: App

    async def make(self, kind: InputType = InputType.RTMP, **fields: object) -> IssuedIngress:
        if kind.pulled:
            fields.setdefault("url", URL)
        return await self.services.ingress.create(self.app, NewIngress(input_type=kind, **fields))  # type: ignore[arg-type]

    async def publisher(self) -> tuple[str, RelayGrant]:
        """The key of a new RTMP ingress, and what it grants."""
        key = (await self.make(room="obs")).secret
        assert key
        return key, await self.sources.authorise_push(key)

    async def patch(self, ingress_id: str, **fields: object) -> None:
        await self.services.ingress.patch(self.app, ingress_id, IngressPatch(**fields))  # type: ignore[arg-type]


@pytest.fixture
async def scene(services: Services, store: Store) -> Scene:
    relays = FakeRelays().join(services.relays)
    return Scene(services, store, services.relays, relays, await services.apps.get("live"))


async def test_authorise_then_the_ingress_decides_who_and_where_and_its_use_is_noted(scene: Scene, wall: Clock) -> None:
    key, grant = await scene.publisher()
    assert (grant.room, grant.identity, grant.type) == (scene.app.room("obs"), "ingress-live", InputType.RTMP)
    one = await scene.services.ingress.get(scene.app, grant.ingress_id)
    assert one.last_used_at == wall.now
    await scene.patch(grant.ingress_id, participant_name="Stage")
    assert (await scene.sources.authorise_push(key)).name == "Stage"


async def test_authorise_when_the_key_is_none_of_ours_then_refused(scene: Scene) -> None:
    whip = (await scene.make(InputType.WHIP)).secret
    await scene.make(InputType.RTSP)
    for key in ("", "stk_guessed", whip or "", "no key: IN_1"):
        with pytest.raises(Unauthorized):
            await scene.sources.authorise_push(key)
    key, grant = await scene.publisher()
    await scene.patch(grant.ingress_id, enabled=False)
    with pytest.raises(Forbidden) as caught:
        await scene.sources.authorise_push(key)
    assert caught.value.code == "ingress_disabled"


async def test_authorise_when_the_key_is_exchanged_at_that_moment_then_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, grant = await scene.publisher()
    write_soon = scene.store.write_soon

    async def later(*args: object) -> object:
        await scene.services.ingress.rotate(scene.app, grant.ingress_id)
        return await write_soon(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "write_soon", lambda _store, *args: later(*args))
    with pytest.raises(Unauthorized):
        await scene.sources.authorise_push(key)


async def test_pulls_then_those_switched_on_of_all_apps_with_their_credentials(scene: Scene) -> None:
    await scene.publisher()
    one = (await scene.make(InputType.RTSP, room="door", max_gop_seconds=4, on_demand=True)).ingress
    other = await scene.services.apps.get("other")
    new = NewIngress(input_type=InputType.URL, url="http://192.168.1.30/a.mp4", participant_name="Film")
    two = (await scene.services.ingress.create(other, new)).ingress
    off = (await scene.make(InputType.RTSP, enabled=False)).ingress
    first, second = await scene.sources.pulls()
    assert (first.grant.ingress_id, first.url, first.max_gop_s, first.on_demand) == (one.id, URL, 4.0, True)
    assert (second.grant.ingress_id, second.grant.room, second.grant.name) == (two.id, other.room(""), "Film")
    await scene.patch(off.id, enabled=True)
    await scene.patch(one.id, enabled=False)
    assert [p.grant.ingress_id for p in await scene.sources.pulls()] == [two.id, off.id]
    assert "hunter22" not in repr(first)


async def test_row_then_its_address_is_sealed_and_bound_to_it(scene: Scene, tmp_path: Path) -> None:
    one, two = [(await scene.make(InputType.RTSP, url=URL.replace("22", n))).ingress for n in ("22", "33")]
    for path in tmp_path.glob("*.db*"):
        assert b"hunter" not in path.read_bytes()
    first, second = [await scene.store.read(rows.find, i.id) for i in (one, two)]
    assert first
    assert second
    # Swapped rows, or another secret.key: those cannot be started, the others can.
    await scene.store.write(rows.update, attrs.evolve(first, source=second.source))
    assert [p.grant.ingress_id for p in await scene.sources.pulls()] == [two.id]
    assert await attrs.evolve(scene.sources, box=SecretBox(b"x" * 32)).pulls() == []


async def test_ingress_when_switched_off_rotated_or_deleted_then_its_relay_ends_after_the_row(scene: Scene) -> None:
    _, grant = await scene.publisher()
    pull = (await scene.make(InputType.RTSP)).ingress
    assert (scene.relays.changes, scene.relays.ended) == (1, [])
    await scene.services.ingress.rotate(scene.app, grant.ingress_id)
    assert scene.relays.ended == [grant.ingress_id]
    for one in (grant.ingress_id, pull.id):
        await scene.patch(one, enabled=False)
        await scene.services.ingress.delete(scene.app, one)
    assert scene.relays.ended == [grant.ingress_id] * 3 + [pull.id] * 2
    before = scene.relays.changes
    other = (await scene.make(InputType.RTSP)).ingress
    await scene.patch(other.id, url=URL.replace("22", "33"))
    assert (scene.relays.changes, len(scene.relays.ended)) == (before + 2, 5)
    await scene.patch(other.id, enabled=True, on_demand=False)  # as it is
    assert scene.relays.changes == before + 2


async def test_whip_when_it_changes_then_no_relay_is_asked(scene: Scene) -> None:
    one = (await scene.make(InputType.WHIP)).ingress
    await scene.patch(one.id, enabled=False)
    await scene.services.ingress.delete(scene.app, one.id)
    assert (scene.relays.changes, scene.relays.ended) == (0, [])


async def test_app_when_deleted_then_its_relays_end_and_its_rows_are_gone(scene: Scene) -> None:
    _, grant = await scene.publisher()
    pull = (await scene.make(InputType.RTSP)).ingress
    other = await scene.services.apps.get("other")
    kept = await scene.services.ingress.create(other, NewIngress(input_type=InputType.RTSP, url=URL))
    await scene.services.apps.delete(scene.app)
    assert set(scene.relays.ended) == {grant.ingress_id, pull.id}
    assert [p.grant.ingress_id for p in await scene.sources.pulls()] == [kept.ingress.id]
    with pytest.raises(NotFound):
        await scene.services.apps.delete(scene.app)


async def test_app_when_its_prefix_moves_then_pulls_publish_elsewhere(scene: Scene) -> None:
    await scene.make(InputType.RTSP, room="door")
    before = scene.relays.changes
    await scene.services.apps.patch(scene.app, AppPatch(room_prefix="moved"))
    assert scene.relays.changes > before
    assert (await scene.sources.pulls())[0].grant.room.room == "moved-door"


async def test_sweep_when_another_process_changed_rows_then_publishers_without_a_right_end(scene: Scene) -> None:
    one, two, three = [(await scene.publisher())[1] for _ in range(3)]
    assert await scene.sources.sweep() == []
    await scene.store.write(rows.delete, one.ingress_id)
    await scene.store.write(rows.set_secret, two.ingress_id, digest("another"), "another")
    assert set(await scene.sources.sweep()) == {one.ingress_id, two.ingress_id}
    assert set(scene.relays.ended) == {one.ingress_id, two.ingress_id}
    assert await scene.sources.sweep() == []
    # Let in by the new key while it looked: not meant.
    await scene.store.write(rows.set_secret, three.ingress_id, digest("newest"), "newest")
    await scene.sources.authorise_push("newest")
    assert await scene.sources.sweep() == []


async def test_sweep_when_a_key_was_exchanged_before_its_publisher_had_a_relay_then_that_ends(scene: Scene) -> None:
    _, grant = await scene.publisher()
    await scene.services.ingress.rotate(scene.app, grant.ingress_id)
    assert await scene.sources.sweep() == [grant.ingress_id]
    assert scene.relays.ended == [grant.ingress_id] * 2
    assert await scene.sources.sweep() == []


async def test_run_then_it_looks_when_somebody_has_written(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    _, grant = await scene.publisher()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.sources.run)
        await trio.sleep(3)
        seen = scene.relays.changes
        await trio.sleep(10)
        assert scene.relays.changes == seen
        await scene.store.write(rows.delete, grant.ingress_id)
        await trio.sleep(3)
        assert (scene.relays.changes, scene.relays.ended) == (seen + 1, [grant.ingress_id])
        nursery.cancel_scope.cancel()


async def test_over_when_a_relay_does_not_end_then_the_caller_goes_on(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    _, grant = await scene.publisher()
    scene.relays.hold = True
    with trio.fail_after(6):
        await scene.services.ingress.delete(scene.app, grant.ingress_id)
    assert scene.relays.ended == [grant.ingress_id]


async def test_probe_when_a_source_says_nothing_or_too_many_are_looked_at_then_why(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    scene.relays.hold = True
    new, found = NewIngress(input_type=InputType.RTSP, url=URL), []

    async def probe() -> None:
        with pytest.raises((SourceUnusable, Unavailable)) as caught:
            await scene.services.ingress.probe(scene.app, new)
        found.append((caught.value.code, trio.current_time()))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(probe)
    assert sorted(found) == [("source_unusable", began + PROBE_S)] * 2 + [("too_busy", began + PROBE_S)]


async def test_outbound_rules_then_they_decide_at_every_door(scene: Scene) -> None:
    url = "http://127.0.0.1:8080/live.m3u8"
    with pytest.raises(Invalid):
        await scene.make(InputType.URL, url=url)
    scene.sources.outbound = OutboundRules([ip_network("127.0.0.0/8")])
    one = (await scene.make(InputType.URL, url=url)).ingress
    with pytest.raises(Invalid, match="private address"):
        await scene.patch(one.id, url="http://192.168.1.20/")
    assert (await scene.sources.pulls())[0].url == url
