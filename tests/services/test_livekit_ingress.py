"""Ingresses of LiveKit's own service: our rows, its list, and what is told of both."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import BadRequest, Conflict, Forbidden, NotFound, StoreError, Unavailable
from streamhub.ingest.livekit_ingress import IngressWatch
from streamhub.model.ingress import IngressState, InputType
from streamhub.model.names import RoomKey
from streamhub.model.streams import RoomStatus, StreamType
from streamhub.services.apps import App, AppPatch
from streamhub.services.bundle import Services
from streamhub.services.ingress import Ingresses
from streamhub.services.ingress_values import Ingress, IngressPatch, IssuedIngress, NewIngress
from streamhub.services.livekit_ingress import LOST, IngressBookRows, LiveKitIngresses
from streamhub.store import ingress as rows
from streamhub.store.db import Store
from tests.conftest import Clock
from tests.fakes.hub import FakeHub
from tests.fakes.ingresses import FakeIngresses

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
DOWN = Unavailable("livekit-server cannot be reached", code="livekit_unreachable")


@attrs.define
class Scene:
    services: Services
    store: Store
    hub: FakeHub
    livekit: FakeIngresses
    watch: IngressWatch
    ingresses: Ingresses
    app: App

    async def make(self, kind: InputType = InputType.RTMP, **fields: object) -> IssuedIngress:
        return await self.ingresses.create(self.app, NewIngress(input_type=kind, **fields))  # type: ignore[arg-type]

    async def seen(self, ingress_id: str) -> Ingress:
        """As it is told after the watcher's next look."""
        await self.watch.look()
        return await self.ingresses.get(self.app, ingress_id)

    async def removals(self) -> list[str]:
        return await self.store.read(rows.removals)


@pytest.fixture
async def scene(services: Services, store: Store, fake_hub: FakeHub, wall: Clock) -> Scene:
    livekit = FakeIngresses()
    watch = IngressWatch(livekit, IngressBookRows(store), wanted=True)

    def publication(key: RoomKey, stream_id: str) -> RoomStatus | None:
        status = fake_hub.status(key)
        return status if status and status.source and status.source.stream_id == stream_id else None

    there = LiveKitIngresses(livekit, watch, publication, chosen=True)
    ingresses = Ingresses(store, services.whip_sessions, services.relays, wall, there)
    return Scene(services, store, fake_hub, livekit, watch, ingresses, await services.apps.get("live"))


async def test_create_then_livekit_has_it_under_the_contracts_name(scene: Scene) -> None:
    issued = await scene.make(
        room="stage", participant_identity="drone", participant_name="Drone", enable_transcoding=True
    )
    (wish,) = scene.livekit.wishes
    assert (wish.name, wish.room, wish.identity, wish.participant_name) == (
        "live-stage",
        "live-stage",
        "drone",
        "Drone",
    )
    assert wish.transcoding is True
    one = issued.ingress
    assert issued.secret == "LiveKitKey01"
    assert (one.key_prefix, one.adaptive, one.url) == ("Liv", True, "rtmp://lk.example/x")
    assert one.activity.state is IngressState.INACTIVE
    pull = NewIngress(input_type=InputType.URL, url="http://me:secret@cam.example/a.mp4?key=1#x")
    scene.livekit.worker = True
    issued = await scene.ingresses.create(scene.app, pull)
    assert (issued.secret, issued.ingress.key_prefix) == (None, "")
    assert issued.ingress.url == "http://***@cam.example/a.mp4?***"
    assert scene.livekit.wishes[-1].url == pull.url


async def test_create_when_the_identity_is_taken_or_livekit_fails_then_no_row_and_nothing_left_there(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.make(room="a")
    assert (await scene.make(room="a")).ingress.identity.startswith("ingress-live-")
    with pytest.raises(Conflict, match="identity"):
        await scene.make(room="a", participant_identity="ingress-live")
    with pytest.raises(Unavailable) as caught:
        await scene.make(InputType.URL, room="b", url="http://cam.example/1")
    assert caught.value.code == "ingress_no_worker"
    scene.livekit.whip_url = ""
    with pytest.raises(Unavailable, match="does not say where") as caught:
        await scene.make(InputType.WHIP, room="b")
    assert "whip_base_url" in caught.value.hint

    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(rows, "insert", full)
    with pytest.raises(StoreError):
        await scene.make(room="b")
    assert await scene.store.read(rows.count) == 2
    assert set(scene.livekit.there) == {"IN_lk1", "IN_lk2"}


async def test_create_when_the_caller_hangs_up_meanwhile_then_livekit_has_nothing_without_a_row(scene: Scene) -> None:
    scene.livekit.hold = trio.Event()
    with trio.CancelScope() as caller:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.make)
            await trio.testing.wait_all_tasks_blocked()
            caller.cancel()
            scene.livekit.hold.set()
    assert caller.cancelled_caught
    (row,) = await scene.store.read(rows.in_livekit)
    assert [row.livekit_id] == list(scene.livekit.there)


@pytest.mark.parametrize(
    ("kind", "fields", "path", "words"),
    [
        (InputType.URL, {"url": "rtsp://u:p@cam/1"}, "url", "inputType 'rtsp', which StreamHub pulls itself"),
        (InputType.URL, {"url": "http://cam/1", "on_demand": True}, "onDemand", "does not go with LiveKit's"),
        (InputType.RTMP, {"enabled": False}, "enabled", "switched on"),
        (InputType.URL, {"url": "file:///etc/passwd"}, "url", "expected http://"),
        (InputType.URL, {"url": "http:///x"}, "url", "and a host"),
        (InputType.URL, {}, "url", "is required"),
        (InputType.RTMP, {"url": "http://x"}, "url", "does not go with 'rtmp'"),
        (InputType.RTMP, {"stream_key": "k" * 30}, "streamKey", "LiveKit makes"),
        (InputType.RTMP, {"enable_transcoding": False}, "enableTranscoding", "always transcodes"),
    ],
)
async def test_create_when_livekit_could_not_then_the_field_says_why_and_it_is_not_asked(
    scene: Scene, kind: InputType, fields: dict[str, object], path: str, words: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        await scene.make(kind, **fields)
    (problem,) = caught.value.fields
    assert problem.path == path
    assert words in problem.message
    assert "u:p@" not in str(caught.value.body())
    assert scene.livekit.calls == []


async def test_rtsp_then_it_is_pulled_by_ourselves(scene: Scene) -> None:
    issued = await scene.make(InputType.RTSP, url="rtsp://me:secret@192.168.1.20/1")
    assert (issued.secret, issued.ingress.url) == (None, "rtsp://***@192.168.1.20/1")
    assert scene.livekit.calls == []
    (source,) = await scene.services.relays.pulls()
    assert source.grant.ingress_id == issued.ingress.id
    await scene.ingresses.patch(scene.app, issued.ingress.id, IngressPatch(enabled=False))
    assert await scene.services.relays.pulls() == []


async def test_patch_of_what_livekit_has_then_only_whether_it_is_switched_on(scene: Scene) -> None:
    scene.livekit.worker = True
    one = (await scene.make(InputType.URL, url="http://cam.example/1")).ingress
    with pytest.raises(BadRequest) as caught:
        await scene.ingresses.patch(
            scene.app, one.id, IngressPatch(url="http://cam.example/2", participant_name="B", max_height=720)
        )
    assert {p.path for p in caught.value.fields} == {"url", "participantName", "maxHeight"}


async def test_activity_then_as_the_room_and_livekit_have_it(scene: Scene) -> None:
    one = (await scene.make(room="a")).ingress
    assert (await scene.seen(one.id)).activity.state is IngressState.INACTIVE
    there = {"started_at": AT, "bitrate": 2_000_000, "width": 1280, "height": 720}
    scene.livekit.change("IN_lk1", state=IngressState.PUBLISHING, **there)
    doing = (await scene.seen(one.id)).activity
    # LiveKit says so, and nobody is in the room: as when its ingress service died.
    assert (doing.state, doing.started_at, doing.bitrate) == (IngressState.BUFFERING, AT, 2_000_000)
    scene.hub.go_live("live", "live-a", identity="ingress-live", kind=StreamType.WEBRTC)
    assert (await scene.seen(one.id)).activity.state is IngressState.BUFFERING  # that is somebody else
    scene.hub.go_live("live", "live-a", identity="ingress-live", kind=StreamType.RTMP)
    found = await scene.seen(one.id)
    doing = found.activity
    assert (doing.state, doing.width, doing.height, found.last_used_at) == (IngressState.PUBLISHING, 1280, 720, AT)
    assert await scene.ingresses.counts() == (1, 1)
    # The participant is there before LiveKit's state is: it publishes all the same.
    scene.livekit.change("IN_lk1", state=IngressState.INACTIVE, bitrate=None, width=None, height=None)
    assert (await scene.seen(one.id)).activity.state is IngressState.PUBLISHING
    scene.hub.rooms.clear()
    scene.livekit.change("IN_lk1", state=IngressState.ERROR, error="bad codec")
    found = await scene.seen(one.id)
    assert (found.activity.state, found.activity.error) == (IngressState.ERROR, "bad codec")
    assert (found.activity.started_at, found.last_used_at) == (None, AT)
    scene.livekit.change("IN_lk1", state=IngressState.COMPLETE)
    assert (await scene.seen(one.id)).activity.state is IngressState.COMPLETE
    assert await scene.ingresses.counts() == (1, 0)


async def test_activity_when_livekit_lost_it_or_is_away_then_that_is_said(scene: Scene) -> None:
    one = (await scene.make(room="a")).ingress
    scene.livekit.down = DOWN
    doing = (await scene.seen(one.id)).activity
    assert (doing.state, doing.error) == (IngressState.INACTIVE, f"LiveKit cannot be asked: {DOWN.message}")
    scene.livekit.down = None
    scene.livekit.there.clear()
    doing = (await scene.seen(one.id)).activity
    assert (doing.state, doing.error) == (IngressState.ERROR, LOST)
    again = await scene.ingresses.rotate(scene.app, one.id)  # as the words advise
    assert again.ingress.id == one.id
    doing = (await scene.seen(one.id)).activity
    assert (doing.state, doing.error) == (IngressState.INACTIVE, None)


async def test_rotate_then_a_new_ingress_of_livekits_under_the_same_id_and_the_old_one_is_gone(scene: Scene) -> None:
    one = (await scene.make(InputType.WHIP, room="a", participant_name="Anna", enable_transcoding=True)).ingress
    await scene.ingresses.patch(scene.app, one.id, IngressPatch(enabled=False))
    issued = await scene.ingresses.rotate(scene.app, one.id)
    assert issued.secret == "LiveKitKey02"
    assert set(scene.livekit.there) == {"IN_lk2"}
    first, second = scene.livekit.wishes
    assert second == attrs.evolve(first, enabled=False)
    assert await scene.removals() == []
    scene.livekit.down = DOWN
    with pytest.raises(Unavailable):
        await scene.ingresses.rotate(scene.app, one.id)
    scene.livekit.down = None
    assert set(scene.livekit.there) == {"IN_lk2"}


async def test_pull_when_switched_or_rotated_then_what_to_do_instead(scene: Scene) -> None:
    scene.livekit.worker = True
    one = (await scene.make(InputType.URL, url="http://cam.example/1")).ingress
    with pytest.raises(Conflict, match="switch") as switched:
        await scene.ingresses.patch(scene.app, one.id, IngressPatch(enabled=False))
    with pytest.raises(Conflict, match="no stream key") as rotated:
        await scene.ingresses.rotate(scene.app, one.id)
    for caught in (switched, rotated):
        assert "DELETE" in caught.value.hint
    assert (await scene.ingresses.get(scene.app, one.id)).enabled


async def test_patch_and_delete_when_livekit_is_away_then_it_follows_later(scene: Scene) -> None:
    one, two = (await scene.make(room="a")).ingress, (await scene.make(room="b")).ingress
    scene.livekit.down = DOWN
    assert not (await scene.ingresses.patch(scene.app, one.id, IngressPatch(enabled=False))).enabled
    await scene.ingresses.delete(scene.app, two.id)
    with pytest.raises(NotFound):
        await scene.ingresses.get(scene.app, two.id)
    assert await scene.removals() == ["IN_lk2"]
    scene.livekit.down = None
    await scene.watch.look()
    assert await scene.removals() == []
    assert {i: one.enabled for i, one in scene.livekit.there.items()} == {"IN_lk1": False}


async def test_app_when_deleted_or_its_prefix_moves_then_livekit_follows(scene: Scene) -> None:
    other = await scene.services.apps.get("other")
    mine = (await scene.make(room="a")).ingress
    await scene.ingresses.create(other, NewIngress(input_type=InputType.RTMP))
    await scene.services.apps.patch(scene.app, AppPatch(room_prefix="moved"))
    await scene.services.apps.delete(other)  # by a command beside the server it is the same: only the rows go
    await scene.watch.look()
    assert {i: one.room for i, one in scene.livekit.there.items()} == {"IN_lk1": "moved-a"}
    assert (await scene.ingresses.get(await scene.services.apps.get("live"), mine.id)).room == "moved-a"


async def test_ingress_of_another_app_then_not_found(scene: Scene) -> None:
    one = (await scene.make(room="a")).ingress
    other = await scene.services.apps.get("other")
    for attempt in (
        scene.ingresses.get(other, one.id),
        scene.ingresses.patch(other, one.id, IngressPatch(enabled=False)),
        scene.ingresses.rotate(other, one.id),
        scene.ingresses.delete(other, one.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    # Neither by LiveKit's own id.
    with pytest.raises(NotFound):
        await scene.ingresses.delete(scene.app, "IN_lk1")
    assert scene.livekit.there["IN_lk1"].enabled


async def test_key_of_livekits_when_it_comes_to_our_own_whip_then_it_is_sent_there(scene: Scene) -> None:
    issued = await scene.make(InputType.WHIP, room="a")
    assert issued.secret
    with pytest.raises(Forbidden) as caught:
        await scene.ingresses.sessions.authorise(issued.secret)
    assert caught.value.code == "ingress_in_livekit"


async def test_mode_when_changed_then_rows_keep_the_way_they_were_made(scene: Scene) -> None:
    there = (await scene.make(room="a")).ingress
    assert scene.ingresses.livekit is not None
    scene.watch.wanted = False
    builtin = attrs.evolve(scene.ingresses, livekit=attrs.evolve(scene.ingresses.livekit, chosen=False))
    here = await builtin.create(scene.app, NewIngress(input_type=InputType.WHIP, room="b"))
    assert here.ingress.url is None
    scene.livekit.change("IN_lk1", state=IngressState.BUFFERING)
    assert (await scene.seen(there.id)).activity.state is IngressState.BUFFERING
    await scene.ingresses.rotate(scene.app, here.ingress.id)
    await builtin.delete(scene.app, there.id)
    assert scene.livekit.there == {}
