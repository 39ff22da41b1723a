from __future__ import annotations

import pytest

from streamhub.errors import Conflict, NotFound
from streamhub.model.names import AppName
from streamhub.model.streams import APP_DELETED
from streamhub.services.apps import AppPatch, NewApp, callback_purpose
from streamhub.services.bundle import Services
from streamhub.services.features import FeaturesPatch, WsIngestPatch
from streamhub.services.fields import Paging
from streamhub.services.keys import NewKey
from streamhub.store import apps as rows
from streamhub.store.db import Store
from tests.conftest import Clock
from tests.fakes.hub import FakeHub


async def test_create_when_only_a_name_then_the_rest_follows(services: Services) -> None:
    app = await services.apps.create(NewApp(name="garden"))
    assert (app.display_name, app.room_prefix) == ("garden", "garden")
    assert app.features.public_playback is True
    assert app.features.ws_ingest.max_fps == 15
    assert await services.apps.get("garden") == app


async def test_create_when_the_name_is_taken_then_conflict(services: Services) -> None:
    with pytest.raises(Conflict) as caught:
        await services.apps.create(NewApp(name="live", room_prefix="free"))
    assert caught.value.code == "app_name_taken"


@pytest.mark.parametrize(
    ("name", "prefix"), [("aaa", "live"), ("live-x", None), ("live-x", "live-x-y"), ("aaa", "live-1")]
)
async def test_create_when_a_room_could_belong_to_two_apps_then_conflict(
    services: Services, name: str, prefix: str | None
) -> None:
    with pytest.raises(Conflict) as caught:
        await services.apps.create(NewApp(name=name, room_prefix=prefix))
    assert caught.value.code == "room_prefix_clash"
    assert "'live'" in caught.value.message
    assert await services.apps.find(name) is None


async def test_create_when_the_prefix_is_shorter_than_anothers_then_conflict_too(services: Services) -> None:
    await services.apps.create(NewApp(name="cam-east"))
    with pytest.raises(Conflict):
        await services.apps.create(NewApp(name="cam"))
    assert (await services.apps.create(NewApp(name="cam", room_prefix="came"))).room_prefix == "came"


async def test_patch_then_only_what_was_sent_changes(services: Services, wall: Clock) -> None:
    before = await services.apps.get("live")
    wall.advance(minutes=5)
    patch = AppPatch(features=FeaturesPatch(max_viewers=9, ws_ingest=WsIngestPatch(max_fps=5)))
    after = await services.apps.patch(before, patch)
    assert (after.features.max_viewers, after.features.ws_ingest.max_fps) == (9, 5)
    assert after.features.ws_ingest.max_frame_kb == before.features.ws_ingest.max_frame_kb
    assert (after.display_name, after.created_at) == (before.display_name, before.created_at)
    assert after.updated_at > before.updated_at
    assert await services.apps.get("live") == after


async def test_patch_secret_then_it_is_stored_sealed_and_null_removes_it(services: Services, store: Store) -> None:
    app = await services.apps.get("live")
    app = await services.apps.patch(app, AppPatch(callback_secret="hunter22", callback_url="https://a.example/x"))
    assert app.has_callback_secret
    row = await store.read(rows.by_name, "live")
    assert row is not None
    assert row.callback_secret is not None
    assert b"hunter22" not in row.callback_secret
    assert services.apps.box.open(row.callback_secret, callback_purpose(app.id)) == "hunter22"
    app = await services.apps.patch(app, AppPatch(callback_secret=None, callback_url=None))
    assert (app.has_callback_secret, app.callback_url) == (False, None)


async def test_patch_prefix_when_a_room_is_live_then_conflict(services: Services, fake_hub: FakeHub) -> None:
    app = await services.apps.get("live")
    fake_hub.go_live("live", "live-cam1")
    with pytest.raises(Conflict) as caught:
        await services.apps.patch(app, AppPatch(room_prefix="new"))
    assert caught.value.code == "room_is_live"
    # The same prefix again is no change.
    assert (await services.apps.patch(app, AppPatch(room_prefix="live"))).room_prefix == "live"


async def test_patch_prefix_then_the_keys_follow(services: Services) -> None:
    app = await services.apps.get("live")
    for room in ("cam1", "live-cam2", "live"):
        await services.keys.create(app, NewKey(room=room))
    app = await services.apps.patch(app, AppPatch(room_prefix="yard"))
    keys = (await services.keys.page(app, Paging())).items
    assert {k.room for k in keys} == {"yard-cam1", "yard-cam2", "yard"}
    assert {app.room(k.room_given).room for k in keys} == {"yard-cam1", "yard-cam2", "yard"}


async def test_patch_prefix_when_it_clashes_then_conflict_and_nothing_moves(services: Services) -> None:
    app = await services.apps.get("live")
    await services.keys.create(app, NewKey(room="cam1"))
    with pytest.raises(Conflict):
        await services.apps.patch(app, AppPatch(room_prefix="other-1"))
    assert [k.room for k in (await services.keys.page(app, Paging())).items] == ["live-cam1"]


async def test_delete_then_everything_of_it_is_gone_and_disconnected(services: Services, fake_hub: FakeHub) -> None:
    app = await services.apps.get("live")
    await services.keys.create(app, NewKey(room="cam1"))
    fake_hub.go_live("live", "live-cam1")
    fake_hub.go_live("other", "other-cam1")
    await services.apps.delete(app)
    assert fake_hub.orders == [("live/live-cam1", APP_DELETED)]
    assert fake_hub.statuses(AppName("other"))
    with pytest.raises(NotFound):
        await services.apps.get("live")
    with pytest.raises(NotFound):
        await services.apps.delete(app)
    again = await services.apps.create(NewApp(name="live"))
    assert again.id != app.id
    assert (await services.keys.page(again, Paging())).total == 0


async def test_page_then_by_name_with_the_total(services: Services) -> None:
    page = await services.apps.page(Paging(limit=1, offset=1))
    assert ([a.name for a in page.items], page.total) == (["other"], 2)
    assert [a.name for a in (await services.apps.page(Paging(), only="live")).items] == ["live"]


async def test_patch_when_playback_becomes_private_then_viewers_must_ask_again(
    services: Services, fake_hub: FakeHub
) -> None:
    fake_hub.go_live("live", "live-cam1", viewers=3)
    app = await services.apps.get("live")
    app = await services.apps.patch(app, AppPatch(features=FeaturesPatch(max_viewers=3)))
    assert fake_hub.dismissed == []
    await services.apps.patch(app, AppPatch(features=FeaturesPatch(public_playback=False)))
    assert fake_hub.dismissed == ["live"]
    assert fake_hub.orders == []


async def test_patch_then_cameras_and_viewers_meet_the_new_rules_at_once(services: Services) -> None:
    access = services.access
    assert (await access.authorise_viewer("live", "cam1", None)).limits.per_room == 0
    app = await services.apps.get("live")
    await services.apps.patch(app, AppPatch(features=FeaturesPatch(max_viewers_per_room=1)))
    assert (await access.authorise_viewer("live", "cam1", None)).limits.per_room == 1
    await services.apps.delete(app)
    with pytest.raises(NotFound):
        await access.authorise_viewer("live", "cam1", None)
