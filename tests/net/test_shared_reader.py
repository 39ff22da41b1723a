"""One task waits for many sockets: who is called, what ends a reading, and who waits when the one that did has left."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise

import pytest
import trio
import trio.testing

from streamhub.net.shared_reader import GATHER_S, MOST_AT_ONCE, QUICK_LOOKS, SharedReader
from tests.support.waiting import eventually


class Reading:
    """One end of a pair, read by a shared reader until it says "end"."""

    def __init__(self, reader: SharedReader) -> None:
        self.reader = reader
        self.ours, self.theirs = trio.socket.socketpair()
        self.got: list[bytes] = []
        self.heard_at = 0.0
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
        self.heard_at = trio.current_time()
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


async def talk(reading: Reading, times: int, gap_s: float) -> list[float]:
    """Say something again and again, each time once it was heard; when that was."""
    heard = []
    for n in range(1, times + 1):
        await reading.theirs.send(b"x")
        while len(reading.got) < n:
            await trio.testing.wait_all_tasks_blocked()
            await trio.sleep(0.0001)
        heard.append(trio.current_time())
        await trio.sleep(gap_s)
    return heard


@pytest.mark.parametrize(("gap_s", "gathered"), [(0.0, True), (0.01, False)])
async def test_read_when_much_comes_then_it_is_gathered_and_a_lone_one_is_not(
    gap_s: float, gathered: bool, autojump_clock: trio.testing.MockClock
) -> None:
    reader = SharedReader()
    with trio.fail_after(20), reader.opened():
        async with trio.open_nursery() as nursery:
            one = Reading(reader)
            nursery.start_soon(one.run)
            heard = await talk(one, QUICK_LOOKS + 20, gap_s)
            one.scope.cancel()
    apart = [b - a for a, b in pairwise(heard)]
    assert max(apart[: QUICK_LOOKS - 1]) < GATHER_S + gap_s  # the first ones are taken at once
    assert (min(apart[QUICK_LOOKS + 1 :]) >= GATHER_S * 0.9 and gap_s == 0) is gathered


async def test_read_when_more_come_than_are_served_at_once_then_nobody_waits_for_the_next_look(
    autojump_clock: trio.testing.MockClock,
) -> None:
    reader = SharedReader()
    many = MOST_AT_ONCE * 3
    with trio.fail_after(20), reader.opened():
        async with trio.open_nursery() as nursery:
            readings = [Reading(reader) for _ in range(many)]
            for reading in readings:
                nursery.start_soon(reading.run)
            await talk(readings[0], QUICK_LOOKS + 5, 0)
            began = trio.current_time()
            for reading in readings[1:]:
                await reading.theirs.send(b"x")
            await eventually(lambda: all(reading.got for reading in readings))
            assert max(reading.heard_at for reading in readings) - began < 2 * GATHER_S
            for reading in readings:
                reading.scope.cancel()


async def test_read_when_several_are_readable_then_all_are_read_before_anything_is_passed_on() -> None:
    reader, order = SharedReader(), []
    with trio.fail_after(20), reader.opened():
        async with trio.open_nursery() as nursery:
            readings = [Reading(reader) for _ in range(3)]

            async def run(n: int) -> None:
                one = readings[n]

                def call() -> bool:
                    order.append(f"read {n}")
                    one.ours._sock.recv(100)  # type: ignore[attr-defined]
                    return n != 1  # the last that comes is passed on too

                def then() -> bool:
                    order.append(f"pass {n}")
                    if n == 2:
                        raise ValueError
                    return False

                with pytest.raises(ValueError) if n == 2 else nullcontext():
                    await reader.read(one.ours, call, then)
                order.append(f"end {n}")
                one.ours.close()
                one.theirs.close()

            for n in range(3):
                nursery.start_soon(run, n)
            await trio.testing.wait_all_tasks_blocked()
            for n in range(3):
                readings[n].theirs._sock.send(b"a")  # type: ignore[attr-defined]
    kinds = [step.split()[0] for step in order]
    assert kinds == ["read"] * 3 + ["pass"] * 3 + ["end"] * 3
    assert {step for step in order if step.startswith("end")} == {"end 0", "end 1", "end 2"}
