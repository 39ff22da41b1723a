"""A crew whose workers are tasks of the test, with everything real but the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from streamhub.fanout.channel import Channel, pair
from streamhub.fanout.crew import Crew
from streamhub.fanout.worker import Worker
from tests.support.waiting import eventually


@attrs.define(eq=False)
class Workers:
    """Those that run now, in the order in which they began."""

    running: list[Worker] = attrs.field(factory=list)

    @asynccontextmanager
    async def open_worker(self) -> AsyncIterator[Channel]:
        ours, theirs = pair()
        worker, channel = Worker(Channel(theirs)), Channel(ours)
        self.running.append(worker)

        async def run() -> None:
            try:
                await worker.run()
            finally:
                worker.channel.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            try:
                yield channel
            finally:
                self.running.remove(worker)
                channel.close()
                nursery.cancel_scope.cancel()


@asynccontextmanager
async def crew_of(wanted: int) -> AsyncIterator[tuple[Crew, Workers]]:
    """A crew at work, all of it ready."""
    workers = Workers()
    crew = Crew(wanted, workers.open_worker)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crew.run)
        await eventually(lambda: crew.counts().running == wanted)
        yield crew, workers
        nursery.cancel_scope.cancel()
