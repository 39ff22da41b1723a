from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from streamhub.rooms import pump as pump_module
from streamhub.rooms.latest import Latest
from streamhub.rooms.pump import MOST_PARTS, SENDFILE_FROM, YIELD_EVERY, Pump
from tests.rooms.fakes import Outlet, plain

MANY = YIELD_EVERY + 10


def during_first_yield(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[None]]) -> list[str]:
    """Make ``act`` run when the pump yields for the first time; the list says whether it did."""
    checkpoint = trio.lowlevel.cancel_shielded_checkpoint
    done: list[str] = []

    async def acting() -> None:
        await checkpoint()
        if not done:
            done.append("acted")
            await act()

    monkeypatch.setattr(trio.lowlevel, "cancel_shielded_checkpoint", acting)
    return done


class Bench:
    """A pump and outlets whose other ends can be read."""

    def __init__(self) -> None:
        self.latest = Latest()
        self.pump = Pump(self.latest, plain)
        self.ends: dict[Outlet, socket.socket] = {}
        self._ours: list[socket.socket] = []

    def outlet(self, *, paced: bool = False, buffer_bytes: int = 0) -> Outlet:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        if buffer_bytes:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        outlet = Outlet(ours.fileno(), paced)
        self._ours.append(ours)
        self.ends[outlet] = theirs
        self.pump.ready.add(outlet)
        return outlet

    async def send(self, jpeg: bytes) -> None:
        self.latest.publish(jpeg, live=True)
        await self.pump.push()

    def got(self, outlet: Outlet) -> bytes:
        data = b""
        while True:
            try:
                more = self.ends[outlet].recv(1 << 20)
            except BlockingIOError:
                return data
            if not more:
                return data
            data += more

    def close(self) -> None:
        for end in (*self._ours, *self.ends.values()):
            end.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize("count", [1, SENDFILE_FROM - 1, SENDFILE_FROM, MANY], ids=["one", "write", "sendfile", "many"])
async def test_push_when_all_are_ready_then_each_gets_every_picture_whole_and_in_order(
    bench: Bench, count: int
) -> None:
    outlets = [bench.outlet() for _ in range(count)]
    for jpeg in (b"one", b"two" * 4000, b"three"):
        await bench.send(jpeg)
    wanted = plain(b"one") + plain(b"two" * 4000) + plain(b"three")
    assert [bench.got(o) == wanted for o in outlets] == [True] * count
    assert {(o.seq, o.sent, o.rest) for o in outlets} == {(3, 3, None)}
    assert list(bench.pump.ready) == outlets


async def test_push_when_nobody_is_ready_then_nothing_is_even_formed(bench: Bench) -> None:
    bench.pump.form = None  # type: ignore[assignment]
    await bench.send(b"one")


def test_chunk_when_asked_twice_then_it_is_built_once(bench: Bench) -> None:
    bench.latest.publish(b"one", live=True)
    assert bench.pump.chunk() is bench.pump.chunk()
    assert bench.pump.chunk() == b"<one>"


@pytest.mark.parametrize("others", [0, SENDFILE_FROM], ids=["write", "sendfile"])
async def test_push_when_a_socket_takes_a_part_then_the_rest_is_left_to_its_task(bench: Bench, others: int) -> None:
    slow = bench.outlet(buffer_bytes=4096)
    fast = [bench.outlet() for _ in range(others)]
    jpeg = os.urandom(100_000)
    await bench.send(jpeg)
    begun = bench.got(slow)
    assert 0 < len(begun) < len(jpeg)
    assert slow.rest is not None
    assert begun + bytes(slow.rest) == plain(jpeg)
    assert (slow.seq, slow.sent, slow.woken) == (1, 0, [True])
    assert slow not in bench.pump.ready
    assert [bench.got(o) for o in fast] == [plain(jpeg)] * others


@pytest.mark.parametrize("others", [0, SENDFILE_FROM], ids=["write", "sendfile"])
async def test_push_when_a_socket_has_no_room_then_its_task_starts_with_the_newest_later(
    bench: Bench, others: int
) -> None:
    full = bench.outlet(buffer_bytes=4096)
    fast = [bench.outlet() for _ in range(others)]
    with pytest.raises(BlockingIOError):
        while True:
            os.write(full.fd, b"." * 500)
    await bench.send(b"x" * 3000)
    assert (full.seq, full.sent, full.rest, full.woken) == (0, 0, None, [False])
    assert full not in bench.pump.ready
    assert [bench.got(o) for o in fast] == [plain(b"x" * 3000)] * others


@pytest.mark.parametrize("others", [0, SENDFILE_FROM], ids=["write", "sendfile"])
async def test_push_when_a_peer_is_gone_then_the_others_get_their_picture(bench: Bench, others: int) -> None:
    gone = bench.outlet()
    fast = [bench.outlet() for _ in range(others)]
    bench.ends[gone].close()
    await bench.send(b"one")
    assert (gone.sent, gone.woken) == (0, [False])
    assert gone not in bench.pump.ready
    assert [bench.got(o) for o in fast] == [b"<one>"] * others


@pytest.mark.parametrize("others", [0, SENDFILE_FROM], ids=["write", "sendfile"])
async def test_push_when_an_outlet_is_paced_then_it_leaves_the_ready_set_after_one(bench: Bench, others: int) -> None:
    paced = bench.outlet(paced=True)
    fast = [bench.outlet() for _ in range(others)]
    await bench.send(b"one")
    await bench.send(b"two")
    assert bench.got(paced) == b"<one>"
    assert (paced.seq, paced.sent, paced.rest, paced.woken) == (1, 1, None, [True])
    assert [bench.got(o) for o in fast] == [b"<one><two>"] * others


async def test_push_when_an_outlet_leaves_during_a_yield_then_nothing_is_written_to_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlets = [bench.outlet() for _ in range(MANY)]
    leaver = outlets[-1]

    async def leave() -> None:
        bench.pump.ready.discard(leaver)

    acted = during_first_yield(monkeypatch, leave)
    await bench.send(b"one")
    assert acted
    assert bench.got(leaver) == b""
    assert [bench.got(o) for o in outlets[:-1]] == [b"<one>"] * (MANY - 1)


async def test_push_when_an_outlet_came_back_with_this_picture_then_it_does_not_get_it_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlets = [bench.outlet() for _ in range(MANY)]
    poked = outlets[-1]

    async def send_by_itself() -> None:  # as a viewer does that was poked: out of the set, catch up, into the set
        bench.pump.ready.discard(poked)
        os.write(poked.fd, bench.pump.chunk())
        poked.seq = bench.latest.seq
        bench.pump.ready.add(poked)

    acted = during_first_yield(monkeypatch, send_by_itself)
    await bench.send(b"one")
    assert acted
    assert [bench.got(o) for o in outlets] == [b"<one>"] * MANY


async def test_push_when_the_crowd_is_large_then_it_yields_no_more_often_than_for_a_smaller_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "YIELD_EVERY", 2)
    monkeypatch.setattr(pump_module, "AT_ONCE", 2)
    for count in (MOST_PARTS, 5 * MOST_PARTS):
        outlets = [bench.outlet() for _ in range(count)]
        await bench.send(b"first")  # they are a crowd now
        yields = 0

        async def turn() -> None:
            nonlocal yields
            yields += 1

        with monkeypatch.context() as patch:
            patch.setattr(trio.lowlevel, "cancel_shielded_checkpoint", turn)
            await bench.send(b"second")
        assert 1 <= yields < MOST_PARTS
        assert {bench.got(o) for o in outlets} == {b"<first><second>"}


async def test_push_when_a_newer_picture_comes_during_a_yield_then_the_rest_get_only_the_newer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlets = [bench.outlet() for _ in range(MANY)]
    acted = during_first_yield(monkeypatch, lambda: bench.send(b"two"))
    await bench.send(b"one")
    assert acted
    got = [bench.got(o) for o in outlets]
    assert got[:YIELD_EVERY] == [b"<one><two>"] * YIELD_EVERY
    assert got[YIELD_EVERY:] == [b"<two>"] * (MANY - YIELD_EVERY)


async def test_push_when_the_picture_is_retired_during_a_yield_then_it_stops(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlets = [bench.outlet() for _ in range(MANY)]

    async def retire() -> None:
        bench.latest.retire()

    acted = during_first_yield(monkeypatch, retire)
    await bench.send(b"one")
    assert acted
    assert [bench.got(o) for o in outlets] == [b"<one>"] * YIELD_EVERY + [b""] * (MANY - YIELD_EVERY)
    assert list(bench.pump.ready) == outlets


async def test_push_when_cancelled_then_the_picture_is_sent_all_the_same(bench: Bench) -> None:
    outlets = [bench.outlet() for _ in range(MANY)]
    with trio.CancelScope() as scope:
        scope.cancel()
        await bench.send(b"one")
    assert [bench.got(o) for o in outlets] == [b"<one>"] * MANY


async def test_push_when_done_then_no_descriptor_is_left_open(bench: Bench) -> None:
    [bench.outlet() for _ in range(SENDFILE_FROM)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        await bench.send(b"one")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_push_when_there_is_no_memfd_then_it_writes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_descriptors(_name: str, _flags: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", out_of_descriptors)
    outlets = [bench.outlet() for _ in range(SENDFILE_FROM)]
    await bench.send(b"one")
    assert [bench.got(o) for o in outlets] == [b"<one>"] * SENDFILE_FROM


@pytest.mark.parametrize("fault", ["no memory", "short write"])
async def test_push_when_the_memfd_cannot_be_filled_then_it_writes_and_closes_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    made: list[int] = []
    create, write = os.memfd_create, os.write

    def memfd_create(name: str, flags: int) -> int:
        made.append(create(name, flags))
        return made[-1]

    def faulty(fd: int, data: bytes) -> int:
        if fd not in made:
            return write(fd, data)
        if fault == "no memory":
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return write(fd, data[:-1])

    monkeypatch.setattr(os, "memfd_create", memfd_create)
    monkeypatch.setattr(os, "write", faulty)
    outlets = [bench.outlet() for _ in range(SENDFILE_FROM)]
    await bench.send(b"one")
    assert [bench.got(o) for o in outlets] == [b"<one>"] * SENDFILE_FROM
    assert len(made) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made[0])


def test_memfd_when_made_then_it_can_never_change_again() -> None:
    memfd = pump_module.sealed(b"picture")
    try:
        assert os.pread(memfd, 100, 0) == b"picture"
        with pytest.raises(PermissionError):
            os.pwrite(memfd, b"X", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(memfd, 0)
        with pytest.raises(PermissionError):
            os.ftruncate(memfd, 100)
        with pytest.raises(PermissionError):
            fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        assert not os.get_inheritable(memfd)
    finally:
        os.close(memfd)
