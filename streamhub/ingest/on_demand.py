"""A relay that runs only while somebody wants what it makes of its room, beside whatever else the room has.

So a camera's pictures are encoded, and media of LiveKit's is tapped. It takes one of the seats of ``Relays``, is begun
again when its worker dies, and tells those who wait for HLS why there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import attrs
import trio

from streamhub.errors import StreamHubError, Unavailable
from streamhub.ingest.relay import Relay
from streamhub.ingest.relay_worker import WorkerLike
from streamhub.ingest.relays import Relays
from streamhub.observe.log import get_logger
from streamhub.rooms.backoff import Lives
from streamhub.rooms.demand import Demand
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import Ended, Start

FIRST_AGAIN_S = 0.1
AGAIN_CAP_S = 10.0
# One that ran so long is begun again at once.
STEADY_S = 30.0

Feeding: TypeAlias = Callable[[WorkerLike], Awaitable[None]]

log = get_logger("relay")


@attrs.define(eq=False)
class OnDemand:
    """``run`` is a task of the room.

    ``start`` waits until there is something to take in and returns the worker's first order; raises StreamHubError.
    ``make`` gives the relay of one life. ``feed`` hands media to its worker, until it is cancelled.
    """

    relays: Relays
    room: Room
    wanted: Callable[[Demand], bool]
    start: Callable[[], Awaitable[Start]]
    make: Callable[[], Relay]
    feed: Feeding | None = None
    spare: bool = False
    _said: str | None = None

    async def run(self) -> None:
        """Until cancelled. The room offers HLS meanwhile; ``spare``: as long as nobody else does."""
        lives = Lives(FIRST_AGAIN_S, AGAIN_CAP_S, STEADY_S)
        with self.room.hls.offered(spare=self.spare):
            while True:
                await self.room.demand.wait(self.wanted)
                lives.begin()
                failure = await self.room.demand.during(self.wanted, self._life)
                if failure is None:
                    self._said = None
                    continue
                wait_s = lives.end()
                self._tell(failure)
                await trio.sleep(wait_s)

    async def _life(self) -> StreamHubError:
        """One worker, from the order to its end, and why it ended."""
        failure: StreamHubError = Unavailable("the server is stopping", code="stopping", retry_after_s=3)
        try:
            start = await self.start()
            with self.relays.seat():
                failure = await self._worker(start)
        except StreamHubError as exc:
            failure = exc
        return failure

    async def _worker(self, start: Start) -> StreamHubError:
        relay = self.make()
        ended: Ended | None = None
        async with trio.open_nursery() as nursery:

            async def ready(worker: WorkerLike) -> None:
                if self.feed is not None:
                    nursery.start_soon(partial(self.feed, worker))

            ended = await relay.run(start, ready=ready)
            nursery.cancel_scope.cancel()
        assert ended is not None  # a cancellation from outside goes on
        message = ended.error or "the source has ended"
        return Unavailable(message, code=ended.code or "relay_ended", hint=ended.hint, retry_after_s=5)

    def _tell(self, failure: StreamHubError) -> None:
        """Whoever waits for a first segment hears of it, and the log of what is new."""
        for stream in self.room.hls.streams.values():
            if stream.is_wanted and not stream.playable:
                stream.fail(failure)
        if failure.message != self._said:
            self._said = failure.message
            where = {"app": self.room.key.app, "room": self.room.key.room}
            log.info("a relay on demand ended", error=failure.message, code=failure.code, **where)
