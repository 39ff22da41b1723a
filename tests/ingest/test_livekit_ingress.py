"""The ingress watcher over fakes: LiveKit's list against our rows."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import Unavailable
from streamhub.ingest.livekit_ingress import IngressWatch
from streamhub.livekit.following import PERIOD_S
from streamhub.livekit.ingresses import LIVEKIT_INGRESS_ATTRIBUTE
from streamhub.livekit.participants import Kind
from streamhub.model.ingress import BookedIngress, IngressState, InputType
from streamhub.model.streams import StreamType
from tests.fakes.ingresses import FakeIngresses, ListBook, live
from tests.fakes.livekit import person, track

DOWN = Unavailable("livekit-server cannot be reached", code="livekit_unreachable")


@attrs.define
class Scene:
    livekit: FakeIngresses = attrs.field(factory=FakeIngresses)
    book: ListBook = attrs.field(factory=ListBook)
    watch: IngressWatch = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.watch = IngressWatch(self.livekit, self.book)

    def have(self, *ids: str) -> None:
        """Rows, and the ingresses to them."""
        self.book.wanted += [BookedIngress(i, "live-a", True) for i in ids]
        self.livekit.put(*(live(i) for i in ids))


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_look_when_nothing_is_livekits_then_it_is_not_asked(scene: Scene) -> None:
    await scene.watch.look()
    assert scene.livekit.calls == []
    scene.watch.wanted = True  # new ones would be made there: is it able to?
    await scene.watch.look()
    assert scene.livekit.calls == ["list"]
    scene.watch.wanted = False
    scene.have("IN_lk1")  # a row of before: it is followed as long as it is there
    await scene.watch.look()
    assert scene.livekit.calls == ["list", "list"]


async def test_look_then_states_are_livekits(scene: Scene) -> None:
    scene.have("IN_lk1")
    await scene.watch.look()
    for state in IngressState:
        scene.livekit.change("IN_lk1", state=state)
        await scene.watch.look()
        found = scene.watch.find("IN_lk1")
        assert found is not None
        assert found.state is state


async def test_look_when_an_ingress_is_deleted_behind_our_back_then_it_is_lost_and_told_once(
    scene: Scene, logged: Callable[[], str]
) -> None:
    scene.have("IN_lk1", "IN_lk2")
    await scene.watch.look()
    assert not scene.watch.is_lost("IN_lk1")
    del scene.livekit.there["IN_lk1"]
    for _ in range(3):
        await scene.watch.look()
    assert (scene.watch.is_lost("IN_lk1"), scene.watch.is_lost("IN_lk2")) == (True, False)
    assert scene.watch.find("IN_lk1") is None
    assert logged().count("LiveKit has lost an ingress") == 1


async def test_look_when_rows_were_deleted_then_livekits_are_and_nobody_elses(scene: Scene) -> None:
    scene.have("IN_lk1")
    scene.livekit.put(live("IN_stranger"), live("IN_lk2"))
    scene.book.unwanted = ["IN_lk2", "IN_gone_already"]
    await scene.watch.look()
    assert set(scene.livekit.there) == {"IN_lk1", "IN_stranger"}
    assert scene.book.unwanted == []


async def test_look_when_livekit_is_away_then_what_is_known_stays_and_removal_comes_later(
    scene: Scene, logged: Callable[[], str]
) -> None:
    scene.have("IN_lk1", "IN_lk2")
    await scene.watch.look()
    scene.book.wanted.pop()
    scene.book.unwanted = ["IN_lk2"]
    scene.livekit.down = DOWN
    for _ in range(3):
        await scene.watch.look()
    assert scene.watch.problem is DOWN
    assert scene.watch.find("IN_lk1") is not None
    assert logged().count("cannot look after LiveKit's ingresses") == 1
    scene.livekit.down = None
    await scene.watch.look()
    assert scene.watch.problem is None
    assert set(scene.livekit.there) == {"IN_lk1"}


async def test_look_when_a_row_moved_or_was_switched_then_livekit_follows_but_a_pull_cannot(scene: Scene) -> None:
    scene.livekit.put(live("IN_lk1"), live("IN_lk2"), live("IN_pull", input_type=InputType.URL, reusable=False))
    scene.book.wanted = [
        BookedIngress("IN_lk1", "new-a", True),
        BookedIngress("IN_lk2", "live-a", False),
        BookedIngress("IN_pull", "new-a", True),
    ]
    await scene.watch.look()
    assert (scene.livekit.there["IN_lk1"].room, scene.livekit.there["IN_lk2"].enabled) == ("new-a", False)
    assert scene.livekit.there["IN_pull"].room == "live-a"
    await scene.watch.look()
    assert [c for c in scene.livekit.calls if c != "list"] == ["update IN_lk1", "update IN_lk2"]


async def test_run_when_told_then_it_looks_at_once_and_otherwise_each_period(
    scene: Scene, autojump_clock: trio.testing.MockClock
) -> None:
    scene.have("IN_lk1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.watch.run)
        await trio.testing.wait_all_tasks_blocked()
        assert len(scene.livekit.calls) == 1
        for _ in range(10):  # ingress_started comes twice, and others with it
            scene.watch.look_soon()
        await trio.testing.wait_all_tasks_blocked()
        assert len(scene.livekit.calls) == 2
        await trio.sleep(3 * PERIOD_S)
        await trio.testing.wait_all_tasks_blocked()
        assert len(scene.livekit.calls) == 5
        nursery.cancel_scope.cancel()


async def test_stream_types_then_each_participant_has_that_of_its_ingress(scene: Scene) -> None:
    """Known ones, one that LiveKit has to be asked about, one without a mark, and strangers."""
    scene.livekit.put(
        live("IN_rtmp", identity="a"),
        live("IN_whip", identity="b", input_type=InputType.WHIP),
        live("IN_url", identity="c", input_type=InputType.URL),
    )
    scene.watch.wanted = True
    await scene.watch.look()
    scene.livekit.put(live("IN_new", identity="d", input_type=InputType.WHIP))

    def made(identity: str, mark: str | None) -> tuple[str, object]:
        marks = {LIVEKIT_INGRESS_ATTRIBUTE: mark} if mark else {}
        return identity, person(identity, track(), kind=Kind.INGRESS, attributes=marks)

    people = dict(
        [
            *(made("a", "IN_rtmp"), made("b", "IN_whip"), made("c", "IN_url"), made("d", "IN_new")),
            *(made("e", "IN_unknown"), made("f", None)),
        ]
    )
    people["guest"] = person("guest", track())
    unmarked = person("b", track(), kind=Kind.INGRESS, sid="PA_old")
    found = await scene.watch.stream_types("live-a", [*people.values(), unmarked])  # type: ignore[list-item]
    assert found == {
        "PA_a": StreamType.RTMP,
        "PA_b": StreamType.WHIP,
        "PA_c": StreamType.RTSP,
        "PA_d": StreamType.WHIP,
        "PA_e": StreamType.RTMP,
        "PA_f": StreamType.RTMP,
        "PA_old": StreamType.WHIP,
    }
