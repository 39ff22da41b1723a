"""Whatever comes between: what an outlet says it got is what was written to it, in order and once."""

from __future__ import annotations

import errno
import os
from collections.abc import Coroutine
from typing import TypeAlias

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from streamhub.rooms import pump as pump_module
from streamhub.rooms import ready as ready_module
from streamhub.rooms.latest import Latest
from streamhub.rooms.pump import Pump
from tests.rooms import fakes

SIZE = 8  # of each picture of these tests
Act: TypeAlias = tuple[str, int]
# What happens to one of the outlets, or (send, retire) to the room; while a picture is sent, at the yields.
acts = st.tuples(
    st.sampled_from(["come", "come paced", "go", "be full", "take a part", "hang up", "send", "send again", "retire"]),
    st.integers(0, 13),
)


@attrs.define(eq=False)
class Outlet(fakes.Outlet):
    """Remembers what a socket got; ``trouble`` is what the next write meets, ``began`` the picture it is inside of."""

    got: list[int] = attrs.field(factory=list)
    trouble: str = ""
    began: int = 0
    came_with: int = 0
    waits: bool = False

    def wake(self, *, began: bool) -> None:
        self.waits = False


@attrs.define
class World:
    """A pump with outlets whose sockets are lists; at each yield the next of ``meanwhile`` is done."""

    latest: Latest = attrs.field(factory=Latest)
    outlets: list[Outlet] = attrs.field(factory=list)
    pump: Pump = attrs.field(init=False)
    meanwhile: list[Act] = attrs.field(factory=list)
    disturbed: bool = False

    def __attrs_post_init__(self) -> None:
        self.outlets = [Outlet(fd) for fd in range(1000, 1014)]
        self.pump = Pump(self.latest, lambda jpeg: jpeg.ljust(SIZE), seal=lambda _: -1)

    def write(self, fd: int, chunk: bytes) -> int:
        outlet = self.outlets[fd - 1000]
        assert outlet in self.pump.ready, "written to while it was away"
        trouble, outlet.trouble = outlet.trouble, ""
        if trouble == "take a part":
            outlet.began = int(chunk)
            return SIZE // 2
        if trouble:
            raise OSError(errno.EAGAIN if trouble == "be full" else errno.EPIPE, trouble)
        outlet.got.append(int(chunk))
        return SIZE

    async def checkpoint(self) -> None:
        if self.meanwhile:
            await self.do(*self.meanwhile.pop())

    async def do(self, what: str, which: int) -> None:
        outlet, ready = self.outlets[which], self.pump.ready
        if what in ("send", "send again"):
            if what == "send":
                self.latest.publish(str(self.latest.seq + 1).encode(), live=True)
            await self.pump.push()
            if not self.disturbed and self.latest.jpeg:
                assert {o.seq for o in ready} <= {self.latest.seq}
        elif what == "retire":
            self.latest.retire()
            self.disturbed = True
        elif what == "go":
            ready.discard(outlet)
            outlet.waits = False
        elif not what.startswith("come"):
            outlet.trouble = what
        elif outlet not in ready:
            self._come(outlet, paced=what == "come paced")
        self.check()

    def _come(self, outlet: Outlet, *, paced: bool) -> None:
        """As a viewer's task does: the rest of a picture, the newest if that is another, and into the ready set."""
        outlet.paced, outlet.trouble = paced, ""
        if outlet.rest is not None:
            assert bytes(outlet.rest) == str(outlet.began).encode().ljust(SIZE)[SIZE // 2 :]
            outlet.rest = None
            outlet.got.append(outlet.began)
            outlet.sent += 1
        if self.latest.newer_than(outlet.seq):
            outlet.seq = self.latest.seq
            outlet.got.append(outlet.seq)
            outlet.sent += 1
        outlet.came_with, outlet.waits = len(outlet.got), True
        self.pump.ready.add(outlet)

    def check(self) -> None:
        ready = self.pump.ready
        assert len(ready) == len(list(ready))
        for outlet in self.outlets:
            assert (outlet in ready) == outlet.waits
            assert outlet.got == sorted(set(outlet.got)), "twice, or in another order"
            assert outlet.sent == len(outlet.got)
            assert not outlet.paced or outlet not in ready or outlet.came_with == outlet.sent, "got two at once"
            last = outlet.got[-1] if outlet.got else 0
            assert outlet.seq == (last if outlet.rest is None else outlet.began)


def finish(coroutine: Coroutine[None, None, None]) -> None:
    """Run a coroutine that never really waits."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


@settings(max_examples=300)
@given(st.lists(st.tuples(acts, st.lists(acts, max_size=8)), max_size=30))
def test_pictures_when_outlets_come_and_go_and_stall_then_each_counts_what_it_got(
    script: list[tuple[Act, list[Act]]],
) -> None:
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pump_module, "AT_ONCE", 3)
        patch.setattr(pump_module, "YIELD_EVERY", 3)
        patch.setattr(pump_module, "CROWD_FROM", 2)
        patch.setattr(ready_module, "CROWD_FROM", 2)
        patch.setattr(os, "write", world.write)
        patch.setattr(trio.lowlevel, "cancel_shielded_checkpoint", world.checkpoint)
        for which in range(12):
            finish(world.do("come", which))
        for act, meanwhile in [(("send", 0), []), *script, (("send", 0), [])]:
            world.disturbed = False
            world.meanwhile = meanwhile
            finish(world.do("send", 0))
            world.meanwhile = []
            finish(world.do(*act))
