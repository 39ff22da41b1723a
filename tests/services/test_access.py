from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
import trio

from streamhub.errors import NotFound, Unauthorized
from streamhub.model.access import CameraGrant, CameraHello, Refusal, Right, Scope
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.services import access
from streamhub.services.access import _allowed
from streamhub.services.apps import AppPatch
from streamhub.services.bundle import Services
from streamhub.services.features import FeaturesPatch, WsIngestPatch
from streamhub.services.fields import Paging
from streamhub.services.keys import IssuedKey, NewKey
from streamhub.services.tokens import NewToken
from tests.conftest import Clock
from tests.livekit.minting import mint


async def make_key(services: Services, **new: object) -> IssuedKey:
    return await services.keys.create(await services.apps.get("live"), NewKey(**({"room": "cam1"} | new)))  # type: ignore[arg-type]


def hello(issued: IssuedKey, **changes: str) -> CameraHello:
    said = CameraHello(app="live", room="cam1", key=issued.secret, identity=None, client_ip="192.0.2.1")
    return attrs.evolve(said, **changes)


@pytest.mark.parametrize("room", ["cam1", "live-cam1"])
async def test_camera_when_the_key_fits_then_a_grant_with_the_apps_limits(services: Services, room: str) -> None:
    key = await make_key(services, identity="gate", idle_timeout_sec=7, takeover=True)
    app = await services.apps.get("live")
    rules = WsIngestPatch(max_fps=5, max_frame_kb=64, max_cameras=3)
    await services.apps.patch(app, AppPatch(features=FeaturesPatch(ws_ingest=rules)))
    grant = await services.access.authorise_camera(hello(key, room=room))
    assert isinstance(grant, CameraGrant)
    assert grant.room == RoomKey(AppName("live"), RoomName("live-cam1"))
    assert (grant.identity, grant.takeover, grant.key_id) == ("gate", True, key.key.id)
    limits = grant.limits
    assert (limits.max_fps, limits.max_frame_bytes, limits.idle_timeout_s, limits.max_cameras) == (5, 65536, 7.0, 3)


async def test_camera_when_it_names_itself_then_that_name_counts(services: Services) -> None:
    grant = await services.access.authorise_camera(hello(await make_key(services, identity="gate"), identity="me"))
    assert isinstance(grant, CameraGrant)
    assert grant.stream_id == "live-cam1/me"


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"app": "nope"}, Refusal(4401, "unknown_app")),
        ({"app": "other"}, Refusal(4401, "invalid_key")),
        ({"key": "wsk_" + "a" * 32}, Refusal(4401, "invalid_key")),
        ({"room": "cam2"}, Refusal(4401, "room_mismatch")),
        ({"room": "live"}, Refusal(4401, "room_mismatch")),
    ],
)
async def test_camera_when_something_is_wrong_then_the_contracts_refusal(
    services: Services, said: dict[str, str], refusal: Refusal
) -> None:
    assert await services.access.authorise_camera(hello(await make_key(services), **said)) == refusal


async def test_camera_when_ingest_is_off_then_refused_before_the_room_is_looked_at(services: Services) -> None:
    key = await make_key(services)
    off = AppPatch(features=FeaturesPatch(ws_ingest=WsIngestPatch(enabled=False)))
    await services.apps.patch(await services.apps.get("live"), off)
    answer = await services.access.authorise_camera(hello(key, room="cam2"))
    assert answer == Refusal(4403, "ws_ingest_disabled")


async def test_camera_when_its_key_was_rotated_or_revoked_then_refused(services: Services) -> None:
    app, key = await services.apps.get("live"), await make_key(services)
    new = await services.keys.rotate(app, key.key.id)
    assert await services.access.authorise_camera(hello(key)) == Refusal(4401, "invalid_key")
    assert isinstance(await services.access.authorise_camera(hello(new)), CameraGrant)
    await services.keys.revoke(app, key.key.id)
    assert await services.access.authorise_camera(hello(new)) == Refusal(4401, "invalid_key")


async def test_last_used_when_used_often_then_written_once_a_minute(services: Services, wall: Clock) -> None:
    key = await make_key(services)
    app = await services.apps.get("live")

    async def written() -> object:
        await services.access.last_used.flush()
        return (await services.keys.page(app, Paging())).items[0].last_used_at

    first = wall.now
    for _ in range(3):
        await services.access.authorise_camera(hello(key))
    assert await written() == first
    wall.advance(seconds=59)
    await services.access.authorise_camera(hello(key))
    assert await written() == first
    wall.advance(seconds=1)
    await services.access.authorise_camera(hello(key))
    assert await written() == first + timedelta(seconds=60)


async def test_last_used_when_nothing_was_used_then_nothing_is_written(services: Services) -> None:
    before = await services.access.store.version()
    await services.access.last_used.flush()
    assert await services.access.store.version() == before


async def test_viewer_when_public_then_let_in_with_the_caps(services: Services) -> None:
    caps = AppPatch(features=FeaturesPatch(max_viewers=20, max_viewers_per_room=3))
    await services.apps.patch(await services.apps.get("live"), caps)
    grant = await services.access.authorise_viewer("live", "cam1", None)
    assert grant.room == RoomKey(AppName("live"), RoomName("live-cam1"))
    assert (grant.limits.per_room, grant.limits.per_app, grant.expires_at) == (3, 20, None)


@pytest.mark.parametrize(("app", "room"), [("nope", "cam1"), ("live", ""), ("live", "a/b"), ("live", "a" * 121)])
async def test_viewer_when_there_can_be_no_such_room_then_not_found(services: Services, app: str, room: str) -> None:
    with pytest.raises(NotFound):
        await services.access.authorise_viewer(app, room, None)
    assert await services.access.find_room(app, room) is None


async def test_viewer_when_private_then_only_with_a_token_of_that_room(services: Services) -> None:
    closed = AppPatch(features=FeaturesPatch(public_playback=False))
    await services.apps.patch(await services.apps.get("live"), closed)
    keys = services.access.livekit
    with pytest.raises(Unauthorized) as caught:
        await services.access.authorise_viewer("live", "cam1", None)
    assert caught.value.message == "play token required"
    with pytest.raises(Unauthorized):
        await services.access.authorise_viewer("live", "cam1", mint(keys, room="live-cam2"))
    grant = await services.access.authorise_viewer("live", "cam1", mint(keys, room="live-cam1"))
    assert grant.expires_at is not None


async def test_viewer_when_a_token_comes_again_then_it_is_verified_anew_only_once_its_time_is_over(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert services.access.viewer_at_once("live", "cam1", None) is None, "nobody has read the app"
    closed = AppPatch(features=FeaturesPatch(public_playback=False))
    await services.apps.patch(await services.apps.get("live"), closed)
    token = mint(services.access.livekit, room="live-cam1")
    grant = await services.access.authorise_viewer("live", "cam1", token)
    assert grant.expires_at is not None

    def refuse(*_: object) -> None:
        raise Unauthorized("asked again")

    monkeypatch.setattr(access, "verify_join_token", refuse)
    assert services.access.viewer_at_once("live", "cam1", token) == grant
    for room, other in (("cam2", token), ("cam1", f"{token}x"), ("cam1", None)):
        with pytest.raises(Unauthorized):
            services.access.viewer_at_once("live", room, other)
    over = grant.expires_at
    monkeypatch.setattr(access, "utc_now", lambda: over)
    with pytest.raises(Unauthorized, match="asked again"):
        services.access.viewer_at_once("live", "cam1", token)


async def test_authenticate_then_the_principal_is_what_the_token_says(services: Services) -> None:
    new = NewToken(name="p", scope=Scope.APP, app="other", rights=(Right.PUBLISH, Right.READ))
    issued = await services.tokens.create(new)
    who = await services.access.authenticate(issued.secret, "192.0.2.1")
    assert (who.token_id, who.name, who.scope, who.app) == (issued.token.id, "p", Scope.APP, "other")
    assert who.rights == {Right.READ, Right.PUBLISH}


async def test_authenticate_when_many_ask_at_once_then_each_gets_its_own(services: Services) -> None:
    secrets = {
        name: (await services.tokens.create(NewToken(name=name, scope=Scope.GLOBAL))).secret for name in ("a", "b", "c")
    }
    secrets["nobody"] = "stk_" + "a" * 32
    got: dict[tuple[str, str | None], tuple[str, str | None] | str] = {}

    async def ask(name: str, app: str | None) -> None:
        try:
            principal, found = await services.access.authenticate_for(secrets[name], "192.0.2.1", app)
            got[name, app] = (principal.name, found.name if found else None)
        except Unauthorized as exc:
            got[name, app] = exc.code

    async with trio.open_nursery() as nursery:
        for name in secrets:
            for app in ("live", "nope", None):
                nursery.start_soon(ask, name, app)
    expected: dict[tuple[str, str | None], tuple[str, str | None] | str] = {}
    for name in secrets:
        for app in ("live", "nope", None):
            expected[name, app] = "token_invalid" if name == "nobody" else (name, "live" if app == "live" else None)
    assert got == expected


async def test_authenticate_when_revoked_expired_or_unknown_then_unauthorized(services: Services, wall: Clock) -> None:
    revoked = await services.tokens.create(NewToken(name="r", scope=Scope.GLOBAL))
    await services.tokens.revoke(revoked.token.id, last_too=True)
    until = wall.now + timedelta(minutes=1)
    expired = await services.tokens.create(NewToken(name="e", scope=Scope.GLOBAL, expires_at=until))
    await services.access.authenticate(expired.secret, "192.0.2.1")
    wall.now = until
    codes = []
    for secret in (revoked.secret, expired.secret, "sk_" + "a" * 43, "", "\udcff"):
        with pytest.raises(Unauthorized) as caught:
            await services.access.authenticate(secret, "192.0.2.1")
        codes.append(caught.value.code)
    assert codes == ["token_invalid", "token_expired", "token_invalid", "token_invalid", "token_invalid"]


@pytest.mark.parametrize(
    ("ip", "ok"),
    [
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("10.9.9.9", True),
        ("::ffff:10.9.9.9", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("unix", False),
    ],
)
async def test_authenticate_when_addresses_are_limited_then_only_from_them(
    services: Services, ip: str, ok: bool
) -> None:
    allowed = ("192.0.2.7", "10.0.0.0/8", "2001:db8::/32")
    secret = (await services.tokens.create(NewToken(name="l", scope=Scope.GLOBAL, allowed_ips=allowed))).secret
    if ok:
        await services.access.authenticate(secret, ip)
    else:
        with pytest.raises(Unauthorized) as caught:
            await services.access.authenticate(secret, ip)
        assert caught.value.code == "token_wrong_address"


def test_allowed_when_the_network_is_written_as_mapped_then_it_means_ipv4() -> None:
    assert _allowed("10.2.3.4", ("::ffff:10.0.0.0/104",))
    assert not _allowed("11.2.3.4", ("::ffff:10.0.0.0/104",))
    assert _allowed("2001:db8::1", ("2001:db8::/32",))
