from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from streamhub.errors import NotFound, Unavailable
from streamhub.model.names import AppName
from streamhub.model.streams import REPLACED, Published, State
from streamhub.rooms.hls import STALE_S, HlsStream
from streamhub.rooms.hls_files import HlsFiles
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.rooms.hub import Hub
from streamhub.rooms.lease import LEASE_S
from streamhub.wire.relay_control import Segment
from tests.rooms.fakes import KEY, START, World, wall
from tests.support.hls import Maker, inline_files, making, supervise


@attrs.define(eq=False)
class Stage:
    """A hub with one room whose source is supervised."""

    hub: Hub
    leases: HlsLeases
    root: Path
    makers: list[Maker] = attrs.field(factory=list)
    source: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    @property
    def stream(self) -> HlsStream:
        room = self.hub.get(KEY)
        assert room is not None
        return room.hls.streams["fmp4"]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())

    async def run_source(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self.source:
            async with self.hub.lease(KEY, publishing=True) as room:
                task_status.started()
                await supervise(room, self.makers.append)


@asynccontextmanager
async def staged(tmp_path: Path) -> AsyncIterator[Stage]:
    world = World()
    files = inline_files(tmp_path)

    async def never(_key: object) -> None:
        return None

    hub = Hub(world.emit, world.placeholder, never, wall, files)
    stage = Stage(hub, HlsLeases(hub), files.root)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        await nursery.start(stage.run_source)
        yield stage
        await hub.shutdown(1)
        nursery.cancel_scope.cancel()
    assert hub.totals.room_errors == 0
    assert stage.files() == []
    assert not files.root.exists() or list(files.root.iterdir()) == []


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_hls_when_nobody_asks_then_nothing_is_made(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await trio.sleep(1000)
        assert stage.makers == []
        assert not stage.root.exists()
        assert not stage.leases.active(KEY)


async def test_hls_when_asked_then_it_is_made_until_so_long_after_the_last_request(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stream = await stage.leases.want(KEY, "fmp4")
        await settle()
        (maker,) = stage.makers
        assert maker.start.container == "fmp4"
        assert not stream.playable
        name = await maker.make()
        await stream.ready()
        assert stage.leases.active(KEY)
        assert stage.files() == sorted([name, maker.init or ""])
        for _ in range(5):
            await trio.sleep(LEASE_S - 1)
            await stage.leases.extend(KEY, stream)
        assert stream.served
        asked_at = trio.current_time()
        await stream.unwanted()
        assert trio.current_time() == asked_at + LEASE_S
        await settle()
        assert not stream.served
        assert not stream.leased
        assert stage.files() == []
        assert stream.file(name) is None


async def test_hls_when_asked_again_after_its_end_then_names_differ_and_numbers_go_on(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        texts = []
        for _ in range(2):
            stream = await stage.leases.want(KEY, "fmp4")
            await settle()
            await stage.makers[-1].make()
            texts.append(stream.window.playlist())
            await stream.unwanted()
            await settle()
        first, second = stage.makers
        assert first.start.prefix != second.start.prefix
        numbers = [int(t.partition("MEDIA-SEQUENCE:")[2].partition("\n")[0]) for t in texts]
        assert numbers == [0, 4 * LEASE_S]  # the wall clock of these tests began when the numbers did
        breaks = [int(t.partition("DISCONTINUITY-SEQUENCE:")[2].partition("\n")[0]) for t in texts]
        assert breaks == [1, 2], "small ones: players keep arrays of that length"
        assert START.year == 2026


async def test_hls_when_the_source_starts_anew_then_the_list_goes_on_after_a_break(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, trio.open_nursery() as nursery:
        stream = await stage.leases.want(KEY, "fmp4")
        await settle()
        await stage.makers[0].make(first=True)
        (stage.makers[0].start.folder / f"{stage.makers[0].start.prefix}_1.m4s").write_bytes(b"half a segm")
        stage.source.cancel()
        await settle()
        assert stream.playable
        assert stage.stream is stream, "viewers keep the room"
        stage.source = trio.CancelScope()
        await nursery.start(stage.run_source)
        await settle()
        await stage.makers[1].make()
        assert set(stage.files()) == stream.window.names(), "nothing half done stays"
        lines = stream.window.playlist().splitlines()
        assert lines.count("#EXT-X-DISCONTINUITY") == 1
        assert [line for line in lines if line.endswith(".m4s")] == [stage.makers[0].name(0), stage.makers[1].name(0)]
        nursery.cancel_scope.cancel()


async def test_hls_when_the_source_is_gone_then_the_list_is_shown_for_a_while_and_then_offline(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stream = await stage.leases.want(KEY, "fmp4")
        await settle()
        await stage.makers[0].make()
        stage.source.cancel()
        await trio.sleep(STALE_S / 3)
        assert await stage.leases.want(KEY, "fmp4") is stream
        await trio.sleep(STALE_S / 3)
        assert await stage.leases.want(KEY, "fmp4") is stream
        await trio.sleep(STALE_S / 3)
        with pytest.raises(Unavailable) as caught:
            await stage.leases.want(KEY, "fmp4")
        assert caught.value.code == "room_offline"
        await trio.sleep(LEASE_S)
        assert stage.hub.get(KEY) is None
        assert stage.files() == []


async def test_hls_when_what_is_live_cannot_give_it_then_it_says_so(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stage.source.cancel()
        await settle()
        stage.hub.publishing(KEY, Published(State.LIVE, START, 1))
        with pytest.raises(NotFound) as caught:
            await stage.leases.want(KEY, "fmp4")
        assert caught.value.code == "hls_not_available"


async def test_hls_when_ordered_then_it_is_made_until_it_is_told_to_stop(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        name, running = await stage.leases.hold(KEY)
        assert not running
        await trio.sleep(10 * LEASE_S)
        (maker,) = stage.makers
        await maker.make()
        assert await stage.leases.hold(KEY) == (name, True)
        await stage.leases.want(KEY, "fmp4")
        assert await stage.leases.drop(KEY) == name
        assert await stage.leases.drop(KEY) is None
        await trio.sleep(LEASE_S / 2)
        assert stage.stream.served, "a viewer has it still"
        await trio.sleep(LEASE_S)
        assert not stage.stream.served
        assert stage.files() == []


async def test_hls_when_the_app_is_deleted_then_orders_and_leases_end(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        await stage.leases.hold(KEY)
        await stage.leases.want(KEY, "ts")
        await settle()
        assert sorted(maker.start.container for maker in stage.makers) == ["fmp4", "ts"]
        await stage.hub.end_app(AppName("other"), REPLACED)
        assert stage.stream.is_wanted
        await stage.hub.end_app(KEY.app, REPLACED)
        await settle()
        assert not any(stream.served for stream in stage.hub.get(KEY).hls.streams.values())  # type: ignore[union-attr]


async def test_hls_when_the_maker_fails_then_who_waits_is_told_why_and_the_next_start_is_new(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stream = await stage.leases.want(KEY, "fmp4")
        refused = NotFound("too many pixels", code="too_large", hint="use the camera's sub-stream")
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(NotFound) as caught:
                    await stream.ready()
                assert caught.value is refused

            nursery.start_soon(wait)
            await settle()
            stream.fail(refused)
        await stream.unwanted()
        await settle()
        await stage.leases.want(KEY, "fmp4")
        with trio.move_on_after(1) as scope:
            await stream.ready()
        assert scope.cancelled_caught


async def test_feed_when_a_segment_is_not_the_makers_or_no_file_then_it_is_left_out(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stream = await stage.leases.want(KEY, "fmp4")
        await settle()
        (maker,) = stage.makers
        await maker.make()
        folder, prefix = maker.start.folder, maker.start.prefix
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret")
        (folder / f"{prefix}_5.m4s").symlink_to(secret)
        (folder / f"{prefix}_6.m4s").mkdir()
        os.mkfifo(folder / f"{prefix}_7.m4s")
        (folder / "x_5.m4s").write_bytes(b"x")
        for name in (
            f"{prefix}_5.m4s",
            f"{prefix}_6.m4s",
            f"{prefix}_7.m4s",
            f"{prefix}_8.m4s",
            "x_5.m4s",
            f"{prefix}_0.m4s",
            f"../{prefix}_5.m4s",
            f"{prefix}_5.mp4",
            f"{prefix}_5.m4s\n",
        ):
            segment = Segment(id="h", name=name, number=5, duration_s=2.0, at_ms=0, bytes=1, init=maker.init)
            await stream.feed(segment)
        assert [one.segment.name for one in stream.window.listed] == [maker.name(0)]
        maker.made = 9
        await maker.make()
        assert stream.window.listed[-1].breaks, "something is missing before it"


async def test_feed_when_segments_go_on_then_old_files_leave_the_disk(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        stream = await stage.leases.want(KEY, "ts")
        await settle()
        (maker,) = stage.makers
        for _ in range(100):
            await maker.make()
        assert len(stage.files()) == 6 + 8
        assert len(stream.window.listed) == 6
        # What is still being sent can be sent to its end.
        file = stream.file(maker.name(99))
        assert file is not None
        with file.opened() as fd:
            for _ in range(20):
                await maker.make()
            assert not file.path.exists()
            assert os.pread(fd, 100, 0) == b"pictures"


async def test_serving_when_a_second_maker_comes_then_it_waits_for_the_first(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage, trio.open_nursery() as nursery:
        stream = await stage.leases.want(KEY, "fmp4")
        await settle()

        async def second() -> None:
            async with making(stream) as maker:
                await maker.make()

        nursery.start_soon(second)
        await settle()
        await stage.makers[0].make()
        assert len(stream.window.listed) == 1
        stage.source.cancel()
        await settle()
        assert len(stream.window.listed) == 2


async def test_serving_when_there_can_be_no_folder_then_the_maker_goes_on_and_nothing_else_fails(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as stage:
        stage.root.write_bytes(b"in the way")
        stream = await stage.leases.want(KEY, "fmp4")
        await settle()
        assert stream.served
        stage.root.unlink()
        await stream.unwanted()
        await settle()
        await stage.leases.want(KEY, "fmp4")
        await settle()
        await stage.makers[1].make()
        assert stream.playable


async def test_clean_when_an_earlier_process_left_files_then_they_are_gone(tmp_path: Path) -> None:
    files = inline_files(tmp_path)
    await files.clean()
    folder = await files.prepare("left")
    (folder / "a_0.ts").write_bytes(b"old")
    await files.clean()
    assert list(tmp_path.iterdir()) == []


async def test_files_in_threads_when_used_then_they_do_the_same(tmp_path: Path) -> None:
    files = HlsFiles(tmp_path / "hls")
    folder = await files.prepare("one")
    (folder / "a").write_bytes(b"abc")
    file = await files.open(folder / "a")
    assert file.size == 3
    with trio.CancelScope() as scope:
        scope.cancel()
        await files.delete([file], folder)
    assert not folder.exists()
