from __future__ import annotations

import re

import pytest
from sqlite_utils import Database

from streamhub.errors import Conflict, NotFound
from streamhub.model.streams import KEY_REVOKED
from streamhub.services.bundle import Services
from streamhub.services.fields import Paging
from streamhub.services.keys import NewKey
from streamhub.store.db import Store
from tests.conftest import Clock
from tests.fakes.hub import FakeHub


async def test_create_then_the_key_has_192_bits_and_only_its_digest_is_stored(services: Services, store: Store) -> None:
    app = await services.apps.get("live")
    issued = await services.keys.create(app, NewKey(room="cam1"))
    assert re.fullmatch(r"wsk_[A-Za-z0-9_-]{32}", issued.secret)
    assert re.fullmatch(r"wsi_[0-9a-f]{12}", issued.key.id)
    assert (issued.key.room, issued.key.room_given) == ("live-cam1", "cam1")
    assert issued.key.identity == f"wscam-{issued.secret[-6:]}"

    def everything(db: Database) -> str:
        return repr(db.execute("SELECT * FROM camera_keys").fetchall())

    assert issued.secret not in await store.read(everything)
    assert issued.secret not in repr(issued)


async def test_create_when_the_key_is_known_then_conflict_in_any_app(services: Services) -> None:
    mine = "wsk_" + "x" * 24
    new = NewKey(room="cam1", stream_key=mine)
    issued = await services.keys.create(await services.apps.get("live"), new)
    assert issued.secret == mine
    with pytest.raises(Conflict) as caught:
        await services.keys.create(await services.apps.get("other"), new)
    assert caught.value.code == "camera_key_exists"
    assert mine not in caught.value.message


async def test_create_many_when_one_fails_then_none_is_made(services: Services) -> None:
    app = await services.apps.get("live")
    wanted = [NewKey(room="a", stream_key="wsk_" + "y" * 24), NewKey(room="b", stream_key="wsk_" + "y" * 24)]
    with pytest.raises(Conflict):
        await services.keys.create_many(app, wanted)
    assert (await services.keys.page(app, Paging())).total == 0


async def test_create_when_the_app_has_gone_meanwhile_then_not_found(services: Services) -> None:
    app = await services.apps.get("live")
    await services.apps.delete(app)
    with pytest.raises(NotFound):
        await services.keys.create(app, NewKey(room="cam1"))


async def test_page_then_newest_first_and_active_as_the_rooms_say(
    services: Services, fake_hub: FakeHub, wall: Clock
) -> None:
    app = await services.apps.get("live")
    made = []
    for room in ("a", "b", "c"):
        made.append(await services.keys.create(app, NewKey(room=room)))
        wall.advance(seconds=1)
    fake_hub.go_live("live", "live-b", key_id=made[1].key.id)
    page = await services.keys.page(app, Paging(limit=2, offset=1))
    assert [(k.room, k.active) for k in page.items] == [("live-b", True), ("live-a", False)]
    assert page.total == 3


async def test_rotate_then_the_camera_leaves_and_the_identity_stays(services: Services, fake_hub: FakeHub) -> None:
    app = await services.apps.get("live")
    old = await services.keys.create(app, NewKey(room="cam1"))
    fake_hub.go_live("live", "live-cam1", key_id=old.key.id)
    new = await services.keys.rotate(app, old.key.id)
    assert new.secret != old.secret
    assert (new.key.id, new.key.identity) == (old.key.id, old.key.identity)
    assert new.key.key_prefix == new.secret[:8]
    assert fake_hub.orders == [("live/live-cam1", KEY_REVOKED)]


async def test_revoke_then_the_camera_leaves(services: Services, fake_hub: FakeHub) -> None:
    app = await services.apps.get("live")
    key = (await services.keys.create(app, NewKey(room="cam1"))).key
    fake_hub.go_live("live", "live-cam1", key_id=key.id)
    await services.keys.revoke(app, key.id)
    assert fake_hub.orders == [("live/live-cam1", KEY_REVOKED)]
    with pytest.raises(NotFound) as caught:
        await services.keys.revoke(app, key.id)
    assert caught.value.message == f"ws-ingest key '{key.id}' not found"


async def test_key_when_of_another_app_then_not_found(services: Services) -> None:
    key = (await services.keys.create(await services.apps.get("live"), NewKey(room="cam1"))).key
    other = await services.apps.get("other")
    for use in (services.keys.rotate, services.keys.revoke):
        with pytest.raises(NotFound):
            await use(other, key.id)
