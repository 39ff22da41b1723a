from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from streamhub.errors import StoreError, Unauthorized
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.access import Right, Scope
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import StreamStarted, StreamType
from streamhub.services.bootstrap import ADMIN_TOKEN_FILE, DATABASE, Prepared, make_data_dir, prepare
from streamhub.services.bundle import Services, build_services
from streamhub.services.live import NoRooms
from streamhub.services.sealing import KEY_FILE
from streamhub.services.tokens import NewToken
from streamhub.store import apps, meta, streams
from streamhub.store.db import Store, inline, open_store
from tests.conftest import Clock
from tests.fakes.ledger import DirectLedger

FIXED = "sk_" + "f" * 40
FIXED_TOO = "sk_" + "g" * 40


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Store]:
    make_data_dir(tmp_path / "data")
    async with open_store(tmp_path / "data" / DATABASE, runner=inline) as opened:
        yield opened


async def boot(store: Store, wall: Clock, admin_token: str | None = None) -> Prepared:
    await store.write(lambda db: None)
    return await prepare(store, store.path.parent, version="1.2.3", admin_token=admin_token, now=wall)


def over(store: Store, prepared: Prepared, wall: Clock) -> Services:
    return build_services(
        store,
        NoRooms(),
        DirectLedger(store),
        box=prepared.box,
        livekit=prepared.livekit,
        data_dir=store.path.parent,
        now=wall,
    )


async def valid(services: Services, token: str) -> bool:
    try:
        who = await services.access.authenticate(token, "192.0.2.1")
    except Unauthorized:
        return False
    return who.scope is Scope.GLOBAL and who.rights == set(Right)


async def test_prepare_when_first_run_then_app_token_and_keys(empty: Store, wall: Clock) -> None:
    prepared = await boot(empty, wall)
    file = empty.path.parent / ADMIN_TOKEN_FILE
    assert prepared.admin_token is not None
    assert file.read_text() == f"{prepared.admin_token}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((empty.path.parent / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(empty.path.parent.stat().st_mode) == 0o700
    services = over(empty, prepared, wall)
    assert await valid(services, prepared.admin_token)
    live = await services.apps.get("live")
    assert (live.display_name, live.room_prefix) == ("Live", "live")
    assert prepared.livekit.api_key.startswith("API")
    assert len(prepared.livekit.api_secret) >= 32
    assert await empty.read(meta.get, "program_version") == "1.2.3"


async def test_prepare_when_again_then_nothing_new(empty: Store, wall: Clock) -> None:
    first = await boot(empty, wall)
    before = {p.name: p.read_bytes() for p in empty.path.parent.iterdir() if p.name in (ADMIN_TOKEN_FILE, KEY_FILE)}
    again = await boot(empty, wall)
    assert again.admin_token is None
    assert again.livekit == first.livekit
    assert first.admin_token is not None
    assert await valid(over(empty, again, wall), first.admin_token)
    assert {name: (empty.path.parent / name).read_bytes() for name in before} == before


async def test_prepare_when_the_first_app_was_removed_then_it_stays_removed(empty: Store, wall: Clock) -> None:
    services = over(empty, await boot(empty, wall), wall)
    await services.apps.delete(await services.apps.get("live"))
    await boot(empty, wall)
    assert await empty.read(apps.names) == set()


async def test_prepare_when_killed_between_file_and_row_then_the_token_in_the_file_counts(
    empty: Store, wall: Clock
) -> None:
    (empty.path.parent / ADMIN_TOKEN_FILE).write_text(f"{FIXED}\n")
    prepared = await boot(empty, wall)
    assert prepared.admin_token == FIXED
    assert await valid(over(empty, prepared, wall), FIXED)


async def test_prepare_when_the_token_file_is_something_else_then_it_is_not_overwritten(
    empty: Store, wall: Clock
) -> None:
    (empty.path.parent / ADMIN_TOKEN_FILE).write_text("remember the milk")
    with pytest.raises(StoreError) as caught:
        await boot(empty, wall)
    assert "milk" not in caught.value.message
    assert (empty.path.parent / ADMIN_TOKEN_FILE).read_text() == "remember the milk"


async def test_prepare_when_the_admin_token_is_fixed_then_it_alone_and_no_file(empty: Store, wall: Clock) -> None:
    prepared = await boot(empty, wall, FIXED)
    services = over(empty, prepared, wall)
    assert prepared.admin_token is None
    assert not (empty.path.parent / ADMIN_TOKEN_FILE).exists()
    assert await valid(services, FIXED)
    await boot(empty, wall, FIXED_TOO)
    assert (await valid(services, FIXED), await valid(services, FIXED_TOO)) == (False, True)
    # Back to the first, whose row is still there, revoked.
    await boot(empty, wall, FIXED)
    assert (await valid(services, FIXED), await valid(services, FIXED_TOO)) == (True, False)


async def test_prepare_when_the_fixed_token_was_revoked_then_it_is_valid_again(empty: Store, wall: Clock) -> None:
    services = over(empty, await boot(empty, wall, FIXED), wall)
    who = await services.access.authenticate(FIXED, "192.0.2.1")
    await services.tokens.revoke(who.token_id, last_too=True)
    assert not await valid(services, FIXED)
    await boot(empty, wall, FIXED)
    assert await valid(services, FIXED)


async def test_prepare_when_the_fixed_token_is_unset_then_it_ends_and_one_is_made(empty: Store, wall: Clock) -> None:
    services = over(empty, await boot(empty, wall, FIXED), wall)
    prepared = await boot(empty, wall)
    assert not await valid(services, FIXED)
    assert prepared.admin_token is not None
    assert await valid(services, prepared.admin_token)


async def test_prepare_when_streams_were_left_active_then_they_are_ended(empty: Store, wall: Clock) -> None:
    await boot(empty, wall)
    key = RoomKey(AppName("live"), RoomName("live-cam1"))
    event = StreamStarted(key, "live-cam1/cam", StreamType.WS_MJPEG, "cam", wall.now)
    await empty.write(streams.apply_events, [event])
    wall.advance(minutes=1)
    await boot(empty, wall)
    row = await empty.read(streams.by_stream_id, 1, "live-cam1/cam")
    assert row is not None
    assert (row.state, row.end_reason, row.ended_at) == ("ended", "server_restart", wall.now)


async def test_prepare_when_livekit_keys_are_given_then_those_and_nothing_is_stored(empty: Store, wall: Clock) -> None:
    given = LiveKitKeys("APIx", "s" * 32)
    prepared = await prepare(empty, empty.path.parent, version="1", livekit=given, now=wall)
    assert prepared.livekit == given
    assert await empty.read(meta.get, "livekit_api_key") is None


async def test_prepare_when_the_secret_key_is_lost_then_livekits_keys_are_made_anew(empty: Store, wall: Clock) -> None:
    prepared = await boot(empty, wall)

    def everything(db: Database) -> str:
        return repr(db.execute("SELECT * FROM meta").fetchall())

    assert prepared.livekit.api_secret not in await empty.read(everything)
    (empty.path.parent / KEY_FILE).unlink()
    again = await boot(empty, wall)
    assert again.livekit.api_secret not in ("", prepared.livekit.api_secret)
    assert (await boot(empty, wall)).livekit == again.livekit


async def test_prepare_when_no_admin_is_left_then_none_is_made_behind_the_owners_back(
    empty: Store, wall: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await boot(empty, wall)
    services = over(empty, first, wall)
    assert first.admin_token is not None
    who = await services.access.authenticate(first.admin_token, "192.0.2.1")
    await services.tokens.revoke(who.token_id, last_too=True)
    assert (await boot(empty, wall)).admin_token is None
    assert not await valid(services, first.admin_token)
    printed = capsys.readouterr()
    assert "no valid admin token is left" in printed.out + printed.err


async def test_secrets_when_printed_then_hidden(empty: Store, wall: Clock) -> None:
    prepared = await boot(empty, wall)
    assert prepared.admin_token is not None
    assert prepared.admin_token not in repr(prepared)
    assert prepared.livekit.api_secret not in repr(prepared)
    issued = await over(empty, prepared, wall).tokens.create(NewToken(name="x", scope=Scope.GLOBAL))
    assert issued.secret not in repr(issued)


def test_make_data_dir_when_it_cannot_be_then_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError) as caught:
            make_data_dir(path)
        assert "--data-dir" in caught.value.hint
