"""What relays tell of their sources beside the media: a poster now and then, and how they are."""

from __future__ import annotations

from datetime import UTC, datetime

import trio
from trio.testing import wait_all_tasks_blocked

from streamhub.ingest.relay import POSTER_EVERY_S, POSTER_FAILED_S, POSTER_FIRST_S, POSTER_WITHIN_S
from streamhub.ingest.relay_states import counts_of
from streamhub.model.ingress import IngressState
from streamhub.rooms.posters import Poster
from streamhub.wire.relay_control import AttachJpeg, Ended, Picture
from tests.ingest.relays.scene import KEY, scene
from tests.ingest.relays.test_relays import GRANT, pull
from tests.support.media import jpeg


async def test_poster_when_nobody_wants_pictures_then_one_key_frame_is_taken_now_and_then() -> None:
    async with scene() as s:
        async with s.relays.push(GRANT):
            await trio.sleep(POSTER_FIRST_S + 0.1)
            (one,) = [o for o in s.worker.orders if isinstance(o, AttachJpeg)]
            assert one.key_only
            assert s.hub.poster(KEY) is None
            s.worker.say(Picture(at_ms=1_767_225_600_000, jpeg=jpeg(1)))
            await wait_all_tasks_blocked()
            assert not s.worker.attached(AttachJpeg), "one picture is enough"
            assert s.hub.poster(KEY) == Poster(jpeg(1), datetime(2026, 1, 1, tzinfo=UTC))
            assert s.room().pictured_at is None, "it is not taken for a live one"
            assert not s.room().latest.jpeg
            s.worker.refuses.add("jpeg")
            await trio.sleep(POSTER_EVERY_S + 1)
            known = s.relays.find("IN_1")
            assert known is not None
            assert not known.known.problems
            s.worker.refuses.clear()
            await trio.sleep(POSTER_EVERY_S)
            assert not s.worker.attached(AttachJpeg), "one that was refused is not asked for each minute"
            await trio.sleep(POSTER_FAILED_S - POSTER_EVERY_S)
            assert len(s.worker.attached(AttachJpeg)) == 1
            s.room().poll()  # somebody wants more than that
            await wait_all_tasks_blocked()
            (name,) = s.worker.attached(AttachJpeg)
            (feed,) = [o for o in s.worker.orders if isinstance(o, AttachJpeg) and o.id == name]
            assert not feed.key_only
            s.worker.say(Picture(at_ms=0, jpeg=jpeg(2)))
            await wait_all_tasks_blocked()
            assert s.hub.poster(KEY) == Poster(jpeg(2), s.room().pictured_at)  # type: ignore[arg-type]
        poster = s.hub.poster(KEY)
        assert poster is not None
        assert poster.jpeg == jpeg(2), "it outlives the source and the room"
        assert s.hub.get(KEY) is None


async def test_poster_when_no_key_frame_comes_then_the_decoder_does_not_stay() -> None:
    async with scene() as s, s.relays.push(GRANT):
        await trio.sleep(POSTER_FIRST_S + 0.1)
        assert s.worker.attached(AttachJpeg)
        await trio.sleep(POSTER_WITHIN_S)
        assert not s.worker.attached(AttachJpeg)


async def test_counts_then_each_relay_by_its_state_those_that_fail_by_name_and_how_often_one_began_anew() -> None:
    async with scene() as s:
        s.workers.opens = False
        s.sources += [pull()]
        s.relays.look_soon()
        await wait_all_tasks_blocked()
        now = counts_of(s.relays, 3)
        assert (now.running, now.most, now.encoders) == (1, s.relays.most, 3)
        assert now.by_state == {("live", IngressState.BUFFERING): 1}
        assert (now.failing, now.restarts) == ((), {})
        s.worker.say(Ended(error="no route to host", code="unreachable", hint="Is it on?"))
        await wait_all_tasks_blocked()
        now = counts_of(s.relays, 0)
        assert (now.running, now.by_state) == (0, {("live", IngressState.ERROR): 1})
        (one,) = now.failing
        assert (one.ingress_id, one.room, one.error, one.hint) == ("IN_1", KEY, "no route to host", "Is it on?")
        await trio.sleep(2)
        assert counts_of(s.relays, 0).restarts == {("live", "unreachable"): 1}


async def test_counts_when_a_pushed_sources_worker_dies_then_it_is_counted_as_begun_anew() -> None:
    async with scene() as s, s.relays.push(GRANT):
        await wait_all_tasks_blocked()
        s.worker.die()
        await trio.sleep(2)
        now = counts_of(s.relays, 0)
        assert now.restarts == {("live", "worker_died"): 1}
        assert now.by_state == {("live", IngressState.PUBLISHING): 1}
