"""Sessions on a real store, with LiveKit's list of participants as the test says."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import Forbidden, NotFound, Unauthorized, Unavailable
from streamhub.livekit.participants import Kind, Participant, Track
from streamhub.model.ingress import InputType, WhipGrant, WhipSession
from streamhub.services.apps import AppPatch
from streamhub.services.bundle import Services
from streamhub.services.ingress import Ingresses
from streamhub.services.ingress_values import IngressPatch, IngressQuery, IssuedIngress, NewIngress
from streamhub.services.whip_sessions import WhipSessions
from streamhub.store import ingress as rows
from streamhub.store.db import Store
from tests.conftest import Clock
from tests.fakes.whip import ScriptedLiveKit


@attrs.define(eq=False)
class Rooms:
    """Stands in for ``LiveKitClient.participants``."""

    present: dict[str, list[Participant]] = attrs.field(factory=dict)
    away: bool = False
    asked: int = 0

    async def participants(self, room: str) -> list[Participant]:
        self.asked += 1
        if self.away:
            raise Unavailable("livekit is away")
        return self.present.get(room, [])

    def enter(self, clock: Clock, sid: str, *, room: str = "live-obs", tracks: bool = True) -> None:
        video = Track("TR_1", "video", "camera", "video/H264", False, 1280, 720)
        found = Participant(
            sid, "ingress-live", "", "active", Kind.STANDARD, False, clock(), "", {}, (video,) if tracks else ()
        )
        self.present.setdefault(room, []).append(found)


@pytest.fixture
def livekit() -> ScriptedLiveKit:
    return ScriptedLiveKit()


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def sessions(store: Store, wall: Clock, livekit: ScriptedLiveKit, rooms: Rooms) -> WhipSessions:
    server = livekit.server()
    server.client = rooms  # type: ignore[assignment]
    return WhipSessions(store, server, wall)


@pytest.fixture
def ingresses(services: Services, store: Store, sessions: WhipSessions, wall: Clock) -> Ingresses:
    return Ingresses(store, sessions, services.relays, wall)


async def make(services: Services, ingresses: Ingresses, room: str = "obs") -> tuple[IssuedIngress, WhipGrant]:
    app = await services.apps.get("live")
    issued = await ingresses.create(app, NewIngress(input_type=InputType.WHIP, room=room))
    return issued, await ingresses.sessions.authorise(issued.secret)


def session(grant: WhipGrant, sid: str = "PA_1") -> WhipSession:
    return WhipSession(grant.ingress_id, grant.room.room, grant.identity, f"/whip/v1/{sid}", "tag", "0", "ufrg")


async def test_authorise_then_the_ingress_decides_who_and_where(services: Services, ingresses: Ingresses) -> None:
    issued, grant = await make(services, ingresses)
    assert (grant.ingress_id, str(grant.room), grant.identity) == (issued.ingress.id, "live/live-obs", "ingress-live")
    with pytest.raises(Unauthorized):
        await ingresses.sessions.authorise(issued.secret + "x")
    await ingresses.patch(await services.apps.get("live"), issued.ingress.id, IngressPatch(enabled=False))
    with pytest.raises(Forbidden):
        await ingresses.sessions.authorise(issued.secret)


async def test_session_when_our_server_starts_again_then_it_is_still_known(
    services: Services, ingresses: Ingresses, store: Store, wall: Clock, livekit: ScriptedLiveKit
) -> None:
    issued, grant = await make(services, ingresses)
    session_id = await ingresses.sessions.opened(grant, session(grant))
    again = WhipSessions(store, livekit.server(), wall)
    assert await again.session(session_id, issued.secret) == session(grant)
    with pytest.raises(Forbidden):
        await again.session(session_id, "stk_of-somebody-else")
    await again.closed(session_id)
    with pytest.raises(NotFound):
        await again.session(session_id, None)


async def test_opened_when_the_key_was_revoked_meanwhile_then_refused(services: Services, ingresses: Ingresses) -> None:
    issued, grant = await make(services, ingresses)
    await ingresses.delete(await services.apps.get("live"), issued.ingress.id)
    with pytest.raises(Unauthorized):
        await ingresses.sessions.opened(grant, session(grant))


async def test_opened_again_then_the_first_session_is_over_and_livekit_need_not_be_told(
    services: Services, ingresses: Ingresses, livekit: ScriptedLiveKit, rooms: Rooms, wall: Clock
) -> None:
    _, grant = await make(services, ingresses)
    first = await ingresses.sessions.opened(grant, session(grant))
    second = await ingresses.sessions.opened(grant, session(grant, "PA_2"))
    rooms.enter(wall, "PA_2")
    wall.advance(seconds=10)
    assert await ingresses.sessions.tidy() == []
    with pytest.raises(NotFound):
        await ingresses.sessions.session(first, None)
    assert (await ingresses.sessions.session(second, None)).resource == "/whip/v1/PA_2"
    assert livekit.asked == []


async def test_run_when_a_publication_goes_on_then_livekit_is_seldom_asked_about_it(
    services: Services,
    ingresses: Ingresses,
    store: Store,
    livekit: ScriptedLiveKit,
    rooms: Rooms,
    wall: Clock,
    autojump_clock: trio.testing.MockClock,
) -> None:
    issued, grant = await make(services, ingresses)
    await ingresses.sessions.opened(grant, session(grant))
    rooms.enter(wall, "PA_1")
    wall.advance(seconds=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ingresses.sessions.run)
        await trio.sleep(59)
        assert 8 <= rooms.asked <= 10
        # What another process revokes ends as soon as ever.
        await store.write(rows.delete, issued.ingress.id)
        await trio.sleep(2.1)
        assert [asked.method for asked in livekit.asked] == ["DELETE"]
        nursery.cancel_scope.cancel()


async def test_tidy_when_the_participant_has_gone_then_the_session_is_over(
    services: Services, ingresses: Ingresses, rooms: Rooms, wall: Clock
) -> None:
    issued, grant = await make(services, ingresses)
    session_id = await ingresses.sessions.opened(grant, session(grant))
    rooms.enter(wall, "PA_other")
    assert await ingresses.sessions.tidy() == []  # too young to be missed
    wall.advance(seconds=4)
    assert await ingresses.sessions.tidy() == [issued.ingress.id]
    with pytest.raises(NotFound):
        await ingresses.sessions.session(session_id, None)


async def test_tidy_when_livekit_cannot_be_asked_then_sessions_stay(
    services: Services, ingresses: Ingresses, rooms: Rooms, wall: Clock
) -> None:
    _, grant = await make(services, ingresses)
    session_id = await ingresses.sessions.opened(grant, session(grant))
    rooms.away = True
    wall.advance(hours=1)
    assert await ingresses.sessions.tidy() == []
    assert await ingresses.sessions.session(session_id, None)


async def test_tidy_when_another_process_deleted_the_ingress_then_its_encoder_is_thrown_out(
    services: Services, ingresses: Ingresses, livekit: ScriptedLiveKit, rooms: Rooms, wall: Clock
) -> None:
    _, grant = await make(services, ingresses)
    await ingresses.sessions.opened(grant, session(grant))
    await services.apps.delete(await services.apps.get("live"))
    livekit.replies["DELETE"] = Unavailable("away")
    await ingresses.sessions.tidy()
    del livekit.replies["DELETE"]
    await ingresses.sessions.tidy()  # tried again until it worked
    await ingresses.sessions.tidy()
    assert livekit.methods == ["DELETE", "DELETE"]
    assert livekit.asked[-1].path == "/whip/v1/PA_1"


async def test_end_when_livekit_is_away_then_it_is_tried_again(
    services: Services, ingresses: Ingresses, livekit: ScriptedLiveKit
) -> None:
    issued, grant = await make(services, ingresses)
    await ingresses.sessions.opened(grant, session(grant))
    livekit.replies["DELETE"] = Unavailable("away")
    assert await ingresses.sessions.end(issued.ingress.id)
    del livekit.replies["DELETE"]
    await ingresses.sessions.tidy()
    assert livekit.methods == ["DELETE", "DELETE"]
    assert not await ingresses.sessions.end(issued.ingress.id)


async def test_list_then_each_ingress_says_what_its_source_does(
    services: Services, ingresses: Ingresses, rooms: Rooms, wall: Clock
) -> None:
    app = await services.apps.get("live")
    for name in ("idle", "coming", "going"):
        _, grant = await make(services, ingresses, name)
        if name != "idle":
            await ingresses.sessions.opened(grant, session(grant, f"PA_{name}"))
    rooms.enter(wall, "PA_going", room="live-going")
    rooms.enter(wall, "PA_coming", room="live-coming", tracks=False)
    page = await ingresses.page(app, IngressQuery())
    assert {i.room: (i.activity.state.value, i.activity.width) for i in page.items} == {
        "live-idle": ("inactive", None),
        "live-coming": ("buffering", None),
        "live-going": ("publishing", 1280),
    }
    rooms.away = True
    assert {i.activity.state.value for i in (await ingresses.page(app, IngressQuery())).items} == {
        "inactive",
        "buffering",
    }


async def test_app_when_its_prefix_changes_then_its_ingresses_move_along(
    services: Services, ingresses: Ingresses
) -> None:
    issued, _ = await make(services, ingresses)
    app = await services.apps.patch(await services.apps.get("live"), AppPatch(room_prefix="tv"))
    assert (await ingresses.get(app, issued.ingress.id)).room == "tv-obs"
    assert (await ingresses.sessions.authorise(issued.secret)).room.room == "tv-obs"


async def test_tidy_when_a_session_was_just_opened_then_it_is_left_alone(
    services: Services, ingresses: Ingresses, wall: Clock
) -> None:
    _, grant = await make(services, ingresses)
    await ingresses.sessions.opened(grant, session(grant))
    wall.now += timedelta(seconds=2)
    assert await ingresses.sessions.tidy() == []
