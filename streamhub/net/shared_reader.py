"""Many sockets, one waiting task: a function is called for each that has something to read.

A task per socket that awaits its turn costs Trio more than all else that is done with a small picture; a call costs a
tenth. The sockets stay in an epoll set of ours, and the task of one of them waits for that set in the name of all:
whoever leads hands over when it leaves (decision 0015). Where hundreds a second come for a while, they are gathered, as
network cards do it, for waking up costs more than the work (decision 0019). Of what is found at once, all
is read before any of it is passed on: the code for the one is in the processor's caches then, and after it the other's.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import attrs
import trio

from streamhub.model.clock import WallClock, utc_now

# So many are served before other tasks have their turn; at 100 µs each they wait for 1.6 ms. A request to the API
# takes some ten turns.
MOST_AT_ONCE = 16
# The kernel says nothing of a socket that was closed by ourselves, elsewhere (at the end of a shutdown): we look.
LOOK_EVERY_S = 0.5
# After so many looks at the sockets, each so soon after the one before, the next ones are so far apart at least.
QUICK_LOOKS = 8
QUICK_S = 0.005
GATHER_S = 0.010


@attrs.define(eq=False)
class _Reading:
    socket: trio.socket.SocketType
    call: Callable[[], bool]
    then: Callable[[], bool]
    goes_on: bool = True
    error: Exception | None = None
    wake: trio.Event = attrs.field(factory=trio.Event)


class SharedReader:
    """Of one Trio run: its users are tasks of that run.

    ``now`` and ``wall`` say, by Trio's clock and by ``clock``, when what is being taken was found: to ask both clocks
    for each picture costs a twentieth of what is done with it.
    """

    def __init__(self, clock: WallClock = utc_now) -> None:
        self._clock = clock
        self.now, self.wall = -math.inf, clock()
        self._epoll: select.epoll  # there while it has users
        self._readings: dict[int, _Reading] = {}
        self._users = 0
        self._led = False

    def look(self) -> None:
        """Set ``now`` and ``wall`` to the present; whoever takes what did not come by ``read`` calls it before."""
        self.now, self.wall = trio.current_time(), self._clock()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """For the time of the block there may be calls of ``read``: the set's own descriptor is open."""
        if self._users == 0:
            self._epoll = select.epoll()
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0:
                self._epoll.close()

    async def read(
        self, socket: trio.socket.SocketType, call: Callable[[], bool], then: Callable[[], bool] = lambda: True
    ) -> None:
        """Call ``call`` whenever ``socket`` is readable, broken or at its end, until it or ``then`` returns False.

        ``then`` is called after each ``call`` (the last one too), when those of all sockets found readable have been.
        Neither must take long; what they raise is raised here, ClosedResourceError where the socket was closed by us.
        """
        fd, reading = socket.fileno(), _Reading(socket, call, then)
        if fd < 0:
            raise trio.ClosedResourceError
        if (former := self._readings.get(fd)) is not None:
            self._end(fd, former, trio.ClosedResourceError())  # its number has been given to another
        self._readings[fd] = reading
        try:
            self._epoll.register(fd, select.EPOLLIN)
            while reading.goes_on:
                if self._led:
                    await reading.wake.wait()
                    reading.wake = trio.Event()
                else:
                    await self._lead(reading)
        finally:
            if reading.goes_on:
                self._end(fd, reading)
            if not self._led and self._readings:
                next(iter(self._readings.values())).wake.set()
        if reading.error is not None:
            raise reading.error

    async def _lead(self, own: _Reading) -> None:
        self._led = True
        looked_at, quick, much = -math.inf, 0, False
        try:
            while own.goes_on:
                with trio.move_on_after(LOOK_EVERY_S):
                    while own.goes_on:
                        if not much:
                            await trio.lowlevel.wait_readable(self._epoll)
                        now, due = trio.current_time(), looked_at + GATHER_S
                        quick = quick + 1 if now < looked_at + QUICK_S or much else 0
                        if quick > QUICK_LOOKS and now < due:
                            await _rest_until(due)
                        elif much:  # it takes us longer than that: others have their turn
                            await trio.lowlevel.checkpoint()
                        self.look()
                        served = self._serve()
                        looked_at = self.now if served < MOST_AT_ONCE else -math.inf  # there is more
                        much = served > 1 and quick > QUICK_LOOKS
                for fd, reading in list(self._readings.items()):
                    if reading.socket.fileno() < 0:
                        self._end(fd, reading, trio.ClosedResourceError())
        finally:
            self._led = False

    def _serve(self) -> int:
        """Call for each that is readable, ``MOST_AT_ONCE`` at most; for how many."""
        readable = self._epoll.poll(0, MOST_AT_ONCE)
        called: list[tuple[int, _Reading]] = []
        for fd, _ in readable:
            reading = self._readings.get(fd)  # None if it was ended by a call before it
            if reading is not None and self._step(fd, reading, reading.call):
                called.append((fd, reading))
        for fd, reading in called:
            self._step(fd, reading, reading.then)
        return len(readable)

    def _step(self, fd: int, reading: _Reading, function: Callable[[], bool]) -> bool:
        """Whether it did not raise: what it raises belongs to the task that asked, not to the one that leads."""
        try:
            if not function():
                self._end(fd, reading)
        except Exception as exc:
            self._end(fd, reading, exc)
            return False
        return True

    def _end(self, fd: int, reading: _Reading, error: Exception | None = None) -> None:
        reading.error = reading.error or error
        if not reading.goes_on:
            return
        reading.goes_on = False
        del self._readings[fd]
        with suppress(OSError):  # a closed one is not in the set any more
            self._epoll.unregister(fd)
        reading.wake.set()


async def _rest_until(when: float) -> None:
    """As ``trio.sleep_until`` for two thirds of its price: here the deadline is no exception."""
    task = trio.lowlevel.current_task()

    def wake(_: object) -> trio.lowlevel.Abort:
        trio.lowlevel.reschedule(task)
        return trio.lowlevel.Abort.FAILED

    with trio.CancelScope(deadline=when):
        await trio.lowlevel.wait_task_rescheduled(wake)
    await trio.lowlevel.checkpoint_if_cancelled()  # it may have been another reason than the deadline
