"""Requests on a kept-alive connection that are answered by the one task for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import attrs
import pytest
import trio
import trio.testing

from streamhub.net.hypercorn import KEEP_ALIVE_S
from streamhub.net.kept import STALLED_S, Kept, Sending
from tests.support.peer import connect
from tests.support.waiting import eventually

BIG = bytes(range(256)) * 4096 * 32


@attrs.define
class File:
    """A file that counts who has it open."""

    fd: int
    users: int = 0

    @contextmanager
    def opened(self) -> Iterator[int]:
        self.users += 1
        try:
            yield self.fd
        finally:
            self.users -= 1


@attrs.define(eq=False)
class Site:
    kept: Kept
    port: int
    file: File
    # What was left to a connection's own task.
    left: list[bytes] = attrs.field(factory=list)

    def answer(self, data: bytes) -> Sending | None:
        if data == b"file":
            return Sending(b"head:", self.file, 0, len(BIG))
        if data == b"fail":
            raise RuntimeError("a bug in a door")
        return None if data == b"other" else Sending(b"<" + data + b">")


@asynccontextmanager
async def open_site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    path = tmp_path_factory.mktemp("kept") / "big"
    path.write_bytes(BIG)
    with path.open("rb") as file:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        site = Site(Kept(KEEP_ALIVE_S), listener.socket.getsockname()[1], File(file.fileno()))

        async def serve(stream: trio.SocketStream) -> None:
            site.left.append(await site.kept.more(stream, site.answer))

        async with trio.open_nursery() as nursery:
            await nursery.start(site.kept.run)
            await nursery.start(trio.serve_listeners, serve, [listener])
            yield site
            nursery.cancel_scope.cancel()


async def test_request_when_it_has_an_answer_then_the_connections_task_hears_of_others_only(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with open_site(tmp_path_factory) as site, connect(site.port) as one, connect(site.port) as two:
        for client in (one, two, one):
            await client.send(b"a")
            assert await client.exactly(3) == b"<a>"
        assert site.left == []
        await one.send(b"other")
        await eventually(lambda: site.left == [b"other"])
        await two.send(b"b")
        assert await two.exactly(3) == b"<b>"
        await trio.aclose_forcefully(two.stream)
        await eventually(lambda: site.left == [b"other", b""])


async def test_answer_when_the_kernel_takes_a_part_then_the_rest_follows_and_then_the_next(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with open_site(tmp_path_factory) as site, connect(site.port) as slow, connect(site.port) as quick:
        await slow.send(b"file")
        await eventually(lambda: site.file.users == 1)
        await quick.send(b"a")
        assert await quick.exactly(3) == b"<a>"
        await slow.send(b"b")  # read once the first is through
        assert await slow.exactly(5) == b"head:"
        assert await slow.exactly(len(BIG)) == BIG
        assert await slow.exactly(3) == b"<b>"
        assert (site.file.users, site.left) == (0, [])


async def test_door_when_it_fails_then_only_that_connection_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with open_site(tmp_path_factory) as site, connect(site.port) as one, connect(site.port) as two:
        await one.send(b"fail")
        assert await one.ended()
        await two.send(b"a")
        assert await two.exactly(3) == b"<a>"


async def test_connection_when_it_asks_now_and_then_it_stays_and_when_silent_it_ends(
    tmp_path_factory: pytest.TempPathFactory, clock: trio.testing.MockClock
) -> None:
    async with open_site(tmp_path_factory) as site, connect(site.port) as client:
        for _ in range(3):
            await trio.sleep(KEEP_ALIVE_S - 1)
            await client.send(b"a")
            assert await client.exactly(3) == b"<a>"
        last = trio.current_time()
        assert await client.ended()
        assert trio.current_time() - last == pytest.approx(KEEP_ALIVE_S, abs=0.1)


async def test_reader_when_it_takes_nothing_then_only_that_one_is_cut(
    tmp_path_factory: pytest.TempPathFactory, clock: trio.testing.MockClock
) -> None:
    async with open_site(tmp_path_factory) as site, connect(site.port) as stuck, connect(site.port) as client:
        began = trio.current_time()
        await stuck.send(b"file")
        while not site.left:
            await client.send(b"a")
            assert await client.exactly(3) == b"<a>"
            await trio.sleep(1)
        assert (site.left, site.file.users) == ([b""], 0)
        assert trio.current_time() - began == pytest.approx(STALLED_S, abs=2)


async def test_stop_when_one_is_idle_and_one_reads_then_that_one_gets_its_answer_first(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with open_site(tmp_path_factory) as site, connect(site.port) as idle, connect(site.port) as reader:
        await idle.send(b"a")
        assert await idle.exactly(3) == b"<a>"
        await reader.send(b"file")
        await eventually(lambda: site.file.users == 1)
        site.kept.stop()
        assert await idle.ended()
        assert await reader.exactly(5 + len(BIG)) == b"head:" + BIG
        assert await reader.ended()


async def test_cut_when_a_reader_is_in_the_middle_then_it_ends_at_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with open_site(tmp_path_factory) as site, connect(site.port) as reader:
        await reader.send(b"file")
        await eventually(lambda: site.file.users == 1)
        site.kept.stop()
        assert site.left == []
        site.kept.cut()
        await eventually(lambda: (site.file.users, site.left) == (0, [b""]))
