"""The server's half: keeps the workers going, gives each viewer to one, and each picture once to those who need it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import count

import attrs
import trio

from streamhub.fanout.channel import Channel
from streamhub.fanout.picture import Picture, Watched
from streamhub.fanout.process import open_worker
from streamhub.model.workers import WorkerCounts
from streamhub.observe.log import get_logger
from streamhub.rooms.backoff import run_supervised
from streamhub.rooms.passed_on import PASS_ON_FROM
from streamhub.rooms.pump import Pump
from streamhub.wire.fanout import BadFanoutMessage, Beat, Ended, Forget, Seat

# A worker beats every second. One that is silent for so long hangs: its viewers are better off with another.
SILENT_S = 15.0
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)

log = get_logger("fanout")


class WorkerLost(Exception):
    """A worker has ended, or hangs."""


@attrs.define(eq=False)
class _Place:
    """Where a viewer sits; ``reason`` is why it is over."""

    reason: str = "lost"
    over: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class Link:
    """One worker at work. ``run`` lasts as long as it does."""

    channel: Channel
    beat: Beat | None = None
    _places: dict[int, _Place] = attrs.field(factory=dict)
    _rooms: dict[Picture, Watched] = attrs.field(factory=dict)
    _numbers: count[int] = attrs.field(factory=lambda: count(1))
    _nursery: trio.Nursery | None = None

    @property
    def ready(self) -> bool:
        """Whether it has come up, and is still there."""
        return self._nursery is not None and self.beat is not None

    @property
    def viewers(self) -> int:
        """How many it has."""
        return len(self._places)

    def watching(self, picture: Picture) -> int:
        """How many of them watch this."""
        return self._rooms[picture].viewers if picture in self._rooms else 0

    async def run(self) -> None:
        """Until the worker is gone: raises WorkerLost then."""
        try:
            async with trio.open_nursery() as self._nursery:
                await self._listen()
        finally:
            self._nursery = None
            for place in self._places.values():
                place.over.set()

    async def _listen(self) -> None:
        while True:
            try:
                with trio.fail_after(SILENT_S):
                    messages = await self.channel.receive()
            except trio.TooSlowError:
                raise WorkerLost(f"it hangs: nothing heard of it for {SILENT_S:g} s") from None
            except _GONE:
                raise WorkerLost("its process has ended") from None
            except BadFanoutMessage as exc:
                raise WorkerLost(f"it talks nonsense: {exc}") from None
            for message, _ in messages:
                if isinstance(message, Beat):
                    self.beat = message
                elif isinstance(message, Ended) and (place := self._places.get(message.viewer)) is not None:
                    place.reason = message.reason
                    place.over.set()

    async def carry(self, fd: int, head: bytes, picture: Picture, interval_s: float) -> str:
        """See ``rooms.passed_on.Carriers``. Counted before the first checkpoint: a crowd is spread evenly too."""
        number, place = next(self._numbers), _Place()
        room = self._enter(picture)
        self._places[number] = place
        try:
            await self.channel.send(Seat(number, room.number, interval_s, head), fd)
            await place.over.wait()
        except _GONE:
            pass  # lost
        finally:
            del self._places[number]
            self._leave(room)
        return place.reason

    def _enter(self, picture: Picture) -> Watched:
        room = self._rooms.get(picture)
        if room is None:
            room = self._rooms[picture] = Watched(next(self._numbers), picture, self.channel)
            assert self._nursery is not None  # whoever asks has looked whether it is ready
            self._nursery.start_soon(self._catch_up, room)
        room.viewers += 1
        return room

    def _leave(self, room: Watched) -> None:
        room.viewers -= 1
        if room.viewers == 0:
            del self._rooms[room.picture]
            room.end()

    async def _catch_up(self, room: Watched) -> None:
        """Give it the picture there is, each one for which the channel had no room, and in the end word of that."""
        try:
            await room.run()
            await self.channel.send(Forget(room.number))
        except _GONE:
            self.channel.close()  # a worker that gets no pictures is of no use: who listens tells of it


@attrs.define(eq=False)
class Crew:
    """So many workers. ``run`` is a task its owner must start; without workers it has nothing to do."""

    wanted: int
    open_worker: Callable[[], AbstractAsyncContextManager[Channel]] = open_worker
    _links: list[Link] = attrs.field(factory=list)
    _pictures: dict[Pump, Picture] = attrs.field(factory=dict)
    _restarts: int = 0
    _past_pictures: int = 0
    _past_cpu_s: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether a worker is there to take viewers."""
        return any(link.ready for link in self._links)

    async def run(self) -> None:
        """Keep them going until cancelled; their processes have ended then."""
        async with trio.open_nursery() as nursery:
            for number in range(self.wanted):
                nursery.start_soon(
                    run_supervised, self._one, partial(self._lost, number), name=f"viewer worker {number}"
                )

    async def carry(self, fd: int, head: bytes, pump: Pump, interval_s: float) -> str:
        """See ``rooms.passed_on.Carriers``."""
        ready = [link for link in self._links if link.ready]
        if not ready:
            return "lost"
        picture = self._pictures.get(pump)
        if picture is None:
            picture = self._pictures[pump] = Picture(pump)
        picture.users += 1
        try:
            link = self._choose(picture, ready)
            return await link.carry(fd, head, picture, interval_s)
        finally:
            picture.users -= 1
            if picture.users == 0:
                del self._pictures[pump]
                picture.close()

    def _choose(self, picture: Picture, ready: list[Link]) -> Link:
        """The one with the fewest viewers of this, of as few as are worth it: each costs something per picture."""
        there = [link for link in ready if link.watching(picture)]
        if all(link.watching(picture) >= PASS_ON_FROM for link in there):
            there = ready
        return min(there, key=lambda one: (one.watching(picture), one.viewers))

    def counts(self) -> WorkerCounts:
        """For metrics and health."""
        beats = [link.beat for link in self._links if link.beat is not None]
        return WorkerCounts(
            wanted=self.wanted,
            running=sum(link.ready for link in self._links),
            viewers=sum(link.viewers for link in self._links),
            pictures=self._past_pictures + sum(beat.pictures for beat in beats),
            cpu_s=self._past_cpu_s + sum(beat.cpu_s for beat in beats),
            restarts=self._restarts,
        )

    async def _one(self) -> None:
        async with self.open_worker() as channel:
            link = Link(channel)
            self._links.append(link)
            try:
                await link.run()
            finally:
                self._links.remove(link)
                if link.beat is not None:
                    self._past_pictures += link.beat.pictures
                    self._past_cpu_s += link.beat.cpu_s

    def _lost(self, number: int, exc: Exception) -> None:
        self._restarts += 1
        while isinstance(exc, ExceptionGroup):  # of the nursery it ran in
            exc = exc.exceptions[0]
        log.error("viewer worker lost, its viewers have to come again", worker=number, error=str(exc))
