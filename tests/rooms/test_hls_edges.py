"""A room's HLS when things happen at once: makers that leave amid a segment, rooms and servers that close."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio

from streamhub.errors import Unavailable
from streamhub.rooms.hls import RoomHls
from streamhub.rooms.hls_files import HlsFiles, SegmentFile
from streamhub.wire.relay_control import Segment
from tests.rooms.fakes import KEY, wall
from tests.rooms.test_hls import settle, staged


def segment_of(name: str) -> Segment:
    return Segment(id="hls", name=name, number=1, duration_s=2.0, at_ms=0, bytes=1)


@attrs.define(eq=False)
class SlowDisk:
    """Files that open when a test lets them."""

    files: HlsFiles
    may_open: trio.Event = attrs.field(factory=trio.Event)

    async def open(self, path: Path) -> SegmentFile:
        await self.may_open.wait()
        return await self.files.open(path)

    def __getattr__(self, name: str) -> object:
        return getattr(self.files, name)


async def test_feed_when_the_maker_leaves_while_its_segment_is_opened_then_it_is_left_out(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, stage.hub.lease(KEY), trio.open_nursery() as nursery:
        stream = await stage.leases.want(KEY, "ts")
        await settle()
        maker = next(m for m in stage.makers if m.start.container == "ts")
        disk = SlowDisk(stream.files)  # type: ignore[arg-type]
        stream.files = disk  # type: ignore[assignment]
        nursery.start_soon(maker.make)
        await settle()
        stage.source.cancel()
        await settle()
        assert not stream.served
        disk.may_open.set()
        await settle()
        assert not stream.window.listed
        assert stream.file(maker.name(0)) is None
        await stream.feed(segment_of(maker.name(1)))
        assert not stream.window.listed, "nobody makes segments now"
        stream.files = disk.files


async def test_feed_when_cancelled_while_the_segment_is_opened_then_the_next_one_comes_after_a_break(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        stream = await stage.leases.want(KEY, "fmp4")
        await settle()
        (maker,) = stage.makers
        await maker.make()
        disk = SlowDisk(stream.files)  # type: ignore[arg-type]
        stream.files = disk  # type: ignore[assignment]
        with trio.move_on_after(1) as scope:
            await maker.make()
        assert scope.cancelled_caught
        stream.files = disk.files
        await maker.make()
        assert [one.segment.name for one in stream.window.listed] == [maker.name(0), maker.name(2)]
        assert stream.window.listed[-1].breaks


async def test_want_when_the_server_stops_then_it_is_refused_and_nothing_stays_wanted(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, trio.open_nursery() as nursery:
        nursery.start_soon(stage.hub.shutdown, 1.0)
        await settle()
        with pytest.raises(Unavailable) as caught:
            await stage.leases.want(KEY, "fmp4")
        assert caught.value.code == "stopping"
        room = stage.hub.get(KEY)
        assert room is not None
        assert not room.hls.streams["fmp4"].leased


async def test_extend_when_the_room_is_another_by_now_then_it_is_refused_and_the_room_is_let_go(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        former = stage.stream
        stage.source.cancel()
        await settle()
        assert stage.hub.get(KEY) is None
        stage.leases.count(KEY, "10.0.0.1", "VLC", None)  # which has no room to be counted in
        async with stage.hub.lease(KEY, publishing=True) as room:
            with pytest.raises(Unavailable) as caught:
                await stage.leases.extend(KEY, former)
            assert caught.value.code == "room_closing"
            assert not former.leased
            assert room.users == 1
            assert room.status().viewers["hls"] == 0


def test_offered_when_several_can_give_it_then_the_room_is_told_of_the_first_and_the_last() -> None:
    told: list[bool] = []
    hls = RoomHls(wall)
    hls.changed = lambda: told.append(hls.is_offered)
    with hls.offered():
        with hls.offered():
            pass
        assert hls.is_offered
    assert told == [True, False]
