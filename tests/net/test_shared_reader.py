"""One task waits for many sockets: who is called, what ends a reading, and who waits when the one that did has left."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from streamhub.net.shared_reader import SharedReader


class Reading:
    """One end of a pair, read by a shared reader until it says "end"."""

    def __init__(self, reader: SharedReader) -> None:
        self.reader = reader
        self.ours, self.theirs = trio.socket.socketpair()
        self.got: list[bytes] = []
        self.scope = trio.CancelScope()
        self.done = trio.Event()
        self.error: BaseException | None = None

    async def run(self) -> None:
        try:
            with self.scope:
                await self.reader.read(self.ours, self.call)
        except (ValueError, trio.ClosedResourceError) as exc:
            self.error = exc
        self.done.set()
        self.ours.close()
        self.theirs.close()

    def call(self) -> bool:
        data = self.ours._sock.recv(100)  # type: ignore[attr-defined]
        self.got.append(data)
        if data == b"fail":
            raise ValueError
        return data not in (b"end", b"")


async def say(reading: Reading, data: bytes) -> None:
    await reading.theirs.send(data)
    await trio.testing.wait_all_tasks_blocked()


async def test_read_when_sockets_come_and_go_then_somebody_always_waits() -> None:
    reader = SharedReader()
    with trio.fail_after(20), reader.opened():
        async with trio.open_nursery() as nursery:
            one, two, three, four = readings = [Reading(reader) for _ in range(4)]
            for reading in readings:
                nursery.start_soon(reading.run)
            await trio.testing.wait_all_tasks_blocked()
            await say(two, b"a")
            await say(one, b"a")
            one.scope.cancel()  # it led
            await one.done.wait()
            await say(two, b"b")
            await say(two, b"end")
            await two.done.wait()
            await say(three, b"fail")  # an error of one is not the others'
            await three.done.wait()
            await say(four, b"c")
            four.theirs.close()
            await four.done.wait()
    assert [r.got for r in readings] == [[b"a"], [b"a", b"b", b"end"], [b"fail"], [b"c", b""]]
    assert isinstance(three.error, ValueError)
    assert one.error is two.error is four.error is None


@pytest.mark.parametrize("leads", [True, False])
async def test_read_when_its_socket_was_closed_by_us_then_it_ends(leads: bool) -> None:
    reader = SharedReader()
    with trio.fail_after(20), reader.opened():
        async with trio.open_nursery() as nursery:
            one, two = (Reading(reader) for _ in range(2))
            for reading in (one, two) if leads else (two, one):
                nursery.start_soon(reading.run)
                await trio.testing.wait_all_tasks_blocked()
            one.ours.close()
            await one.done.wait()
            assert isinstance(one.error, trio.ClosedResourceError)
            await say(two, b"still")
            two.scope.cancel()
        late = Reading(reader)
        late.ours.close()
        await late.run()
    assert two.got == [b"still"]
    assert isinstance(late.error, trio.ClosedResourceError)
