from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
import trio.testing

from streamhub.fanout.channel import BUFFER_BYTES, Channel, pair
from streamhub.fanout.crew import SILENT_S, Crew
from streamhub.rooms.latest import Latest
from streamhub.rooms.pump import Pump
from streamhub.wire.fanout import Beat, Ended, Forget, Seat, Show
from tests.fanout.in_process import Workers, crew_of
from tests.playback.scene import scene, source
from tests.support.census import Census
from tests.support.media import jpeg, room_key
from tests.support.peer import HttpPeer, connect
from tests.support.waiting import eventually

PATH = "/live/live/cam1/mjpeg"
Two = tuple[Crew, Workers]


@asynccontextmanager
async def watching(port: int, count: int, path: str = PATH) -> AsyncIterator[list[HttpPeer]]:
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(port)) for _ in range(count)]
        for peer in peers:
            await peer.watch(path)
        yield peers


async def test_viewers_of_each_room_are_spread_evenly_and_a_worker_gets_only_the_pictures_it_needs(two: Two) -> None:
    crew, workers = two
    async with scene() as media, source(media) as camera, source(media, "cam2") as other:
        await camera.show(jpeg(1))
        await other.show(jpeg(2))
        async with watching(media.port, 5) as five, watching(media.port, 1, "/live/live/cam2/mjpeg") as (alone,):
            assert [await peer.part() for peer in five] == [jpeg(1)] * 5
            assert await alone.part() == jpeg(2)
            assert sorted(len(w.viewers) for w in workers.running) == [3, 3]
            assert sorted(len(w.rooms) for w in workers.running) == [1, 2]
            assert crew.counts().viewers == 6
            assert media.hub.viewer_count(room_key().app) == 6
        await eventually(lambda: crew.counts().viewers == 0 and not any(w.rooms for w in workers.running))


async def test_small_room_when_it_grows_then_only_those_beyond_are_passed_on(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew, _ = two
    monkeypatch.setattr("streamhub.playback.requests.PASS_ON_FROM", 3)
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg(1))
        async with watching(media.port, 3):
            assert crew.counts().viewers == 0
            async with watching(media.port, 2):
                assert crew.counts().viewers == 2
                assert media.hub.viewer_count(room_key().app) == 5


async def test_room_takes_a_further_worker_only_when_those_it_has_are_worth_it(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, workers = two
    monkeypatch.setattr("streamhub.fanout.crew.PASS_ON_FROM", 3)
    async with scene() as media, source(media) as camera, AsyncExitStack() as stack:
        await camera.show(jpeg(1))
        seen = []
        for _ in range(8):
            await stack.enter_async_context(watching(media.port, 1))
            seen.append(sorted(len(w.viewers) for w in workers.running))
        assert seen == [[0, 1], [0, 2], [0, 3], [1, 3], [2, 3], [3, 3], [3, 4], [4, 4]]


async def test_viewer_who_comes_after_the_camera_has_gone_is_not_shown_its_last_picture(two: Two) -> None:
    async with scene() as media:
        async with source(media) as camera:
            await camera.show(jpeg(1))
            async with AsyncExitStack() as stack:
                (first,) = await stack.enter_async_context(watching(media.port, 1))
                assert await first.part() == jpeg(1)
                camera.room.detach(camera.session)
                (second,) = await stack.enter_async_context(watching(media.port, 1))
                shown = await second.part()
                assert shown != jpeg(1)
                assert await first.part() == shown


async def test_withdrawn_viewers_end_though_their_worker_does_nothing(two: Two) -> None:
    crew, workers = two
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg(1))
        async with watching(media.port, 4) as peers:
            for peer in peers:
                await peer.part()
            before = trio.current_time()
            for worker in workers.running:  # none of them hears a word from now on
                worker.channel._turn.acquire_nowait()
            await media.hub.end_viewers(room_key().app)
            for peer in peers:
                assert not await peer.more()
            assert trio.current_time() - before < 1
            assert crew.counts().viewers == 0
            for worker in workers.running:
                worker.channel._turn.release()


async def test_worker_that_hangs_is_replaced_and_its_viewers_alone_have_to_come_again(two: Two) -> None:
    crew, workers = two
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg(1))
        async with watching(media.port, 4) as peers:
            for peer in peers:
                await peer.part()
            hanging, other = workers.running
            hanging.channel._turn.acquire_nowait()  # it says nothing any more
            ended: list[HttpPeer] = []
            async with trio.open_nursery() as nursery:

                async def read(peer: HttpPeer) -> None:
                    while await peer.more():
                        pass
                    ended.append(peer)

                for peer in peers:
                    nursery.start_soon(read, peer)
                await trio.sleep(SILENT_S + 2)
                assert other in workers.running
                assert hanging not in workers.running
                assert crew.counts().restarts == 1
                assert len(ended) == media.hub.viewer_count(room_key().app) == 2
                await eventually(lambda: crew.counts().running == 2)
                await camera.show(jpeg(2))
                async with watching(media.port, 2) as again:
                    assert [await peer.part() for peer in again] == [jpeg(2)] * 2
                    assert sorted(len(w.viewers) for w in workers.running) == [2, 2]
                assert len(ended) == 2
                nursery.cancel_scope.cancel()


async def test_viewers_when_no_worker_is_there_then_the_server_sends_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamhub.playback.requests.PASS_ON_FROM", 0)
    monkeypatch.setattr("tests.support.media.carriers", Crew(2))  # not running
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg(1))
        async with watching(media.port, 1) as (peer,):
            assert await peer.part() == jpeg(1)


async def test_crowd_that_comes_and_goes_leaves_nothing_behind(two: Two) -> None:
    async with scene() as media, source(media) as camera:
        await camera.show(jpeg(1))
        await trio.testing.wait_all_tasks_blocked()
        before = Census()
        async with watching(media.port, 20) as peers:
            for peer in peers:
                await peer.part()
        await eventually(lambda: Census() == before)


async def test_worker_that_is_behind_gets_the_newest_picture_and_nobody_waits_for_it() -> None:
    near, far = map(Channel, pair())

    @asynccontextmanager
    async def open_worker() -> AsyncIterator[Channel]:
        await far.send(Beat(0, 0, 0.0))
        try:
            yield near
        finally:
            near.close()

    crew = Crew(1, open_worker)
    latest = Latest()
    pump = Pump(latest, lambda jpeg: b"[%s]" % jpeg)
    mine, viewer = trio.socket.socketpair()
    reasons: list[str] = []

    async def watch() -> None:
        reasons.append(await crew.carry(viewer.fileno(), b"head", pump, 0.5))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crew.run)
        await eventually(lambda: crew.ready)
        nursery.start_soon(watch)
        for number in range(BUFFER_BYTES // 100):  # far more than the channel holds
            latest.publish(b"%d" % number, live=True)
            await trio.testing.wait_all_tasks_blocked()
        seat: Seat | None = None
        shown: list[bytes] = []
        with trio.move_on_after(1):
            while True:
                for message, fd in await far.receive():
                    if isinstance(message, Seat):
                        seat = message
                        assert (message.head, message.interval_s) == (b"head", 0.5)
                    elif isinstance(message, Show):
                        shown.append(os.pread(fd, message.size, 0))
                    os.close(fd)
        assert seat is not None
        assert len(shown) < 50
        assert shown[-1] == b"[%d]" % (BUFFER_BYTES // 100 - 1)
        await far.send(Ended(seat.viewer, "stalled"))
        await eventually(lambda: reasons == ["stalled"])
        ((message, _),) = await far.receive()
        assert isinstance(message, Forget)
        nursery.cancel_scope.cancel()
    mine.close()
    viewer.close()
    far.close()


async def test_crew_when_a_worker_ends_at_once_then_it_is_tried_again_ever_more_seldom() -> None:
    opened: list[float] = []

    @asynccontextmanager
    async def open_worker() -> AsyncIterator[Channel]:
        ours, theirs = pair()
        theirs.close()
        opened.append(trio.current_time())
        try:
            yield Channel(ours)
        finally:
            ours.close()

    crew = Crew(1, open_worker)
    with trio.move_on_after(60):
        await crew.run()
    assert 5 < len(opened) < 10
    assert opened[-1] - opened[-2] > 10
    assert not crew.ready


async def test_counts_go_on_after_a_worker_was_replaced() -> None:
    async with crew_of(1) as (crew, workers), scene() as media:
        async with source(media) as camera:
            await camera.show(jpeg(1))
        workers.running[0]._sent = 7
        await eventually(lambda: crew.counts().pictures == 7)
        workers.running[0].channel.close()
        await eventually(lambda: crew.counts().restarts == 1 and crew.counts().running == 1)
        assert crew.counts().pictures == 7


async def test_picture_that_was_taken_back_is_not_shown_to_who_comes_before_the_next() -> None:
    latest = Latest()
    pump = Pump(latest, lambda jpeg: b"[%s]" % jpeg)
    pairs = [trio.socket.socketpair() for _ in range(2)]
    async with crew_of(1) as (crew, _), trio.open_nursery() as nursery:
        latest.publish(b"1", live=True)
        seen = []
        for mine, viewer in pairs:
            nursery.start_soon(crew.carry, viewer.fileno(), b"head", pump, 0.0)
            await trio.testing.wait_all_tasks_blocked()
            seen.append(await mine.recv(100))
            latest.retire()
        latest.publish(b"2", live=True)
        seen += [await mine.recv(100) for mine, _ in pairs]
        nursery.cancel_scope.cancel()
    for both in pairs:
        for one in both:
            one.close()
    assert b"".join(seen[0::2]) == b"head[1][2]"
    assert b"".join(seen[1::2]) == b"head[2]"
