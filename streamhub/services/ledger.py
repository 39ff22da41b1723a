"""The ledger: every change of a stream, whoever caused it, passes here and is written in order.

Events that come while a transaction runs are written together in the next one (group commit): a thousand cameras
connecting at once cost a few disk syncs, not a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from streamhub.errors import StoreError
from streamhub.model.streams import StreamEnded, StreamEvent
from streamhub.observe.metrics import Metrics
from streamhub.store import streams
from streamhub.store.db import Store

MOST_AT_ONCE = 500


@attrs.define(eq=False)
class _Entry:
    event: StreamEvent
    done: trio.Event = attrs.field(factory=trio.Event)
    error: StoreError | None = None


@attrs.define(eq=False)
class Ledger:
    """Applies stream events to their rows. ``run`` must be running for ``apply`` to return."""

    store: Store
    metrics: Metrics | None = None
    _waiting: list[_Entry] = attrs.field(factory=list)
    _wake: trio.Event = attrs.field(factory=trio.Event)

    async def apply(self, event: StreamEvent) -> None:
        """Return once the event is committed. Raises StoreError.

        If the caller is cancelled meanwhile, the event is written all the same.
        """
        entry = _Entry(event)
        self._waiting.append(entry)
        self._wake.set()
        await entry.done.wait()
        if entry.error is not None:
            raise entry.error

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write for ever. Cancelled, it finishes the transaction it is in; ``drain`` writes the rest."""
        task_status.started()
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            await self.drain()

    async def drain(self) -> None:
        """Write everything that waits."""
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            try:
                await self._write(batch)
            finally:
                for entry in batch:
                    entry.done.set()

    async def _write(self, batch: Sequence[_Entry]) -> None:
        with trio.CancelScope(shield=True):  # bounded by the store's own busy timeout
            try:
                await self.store.write(streams.apply_events, [e.event for e in batch])
            except StoreError as exc:
                for entry in batch:
                    entry.error = exc
                return
        if self.metrics is not None:
            for entry in batch:
                if isinstance(entry.event, StreamEnded):
                    self.metrics.stream_events.labels(entry.event.room.app, "stopped").inc()
