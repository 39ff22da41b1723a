"""The ledger without its group commit: each event is its own transaction."""

from __future__ import annotations

import attrs

from streamhub.model.streams import StreamEvent
from streamhub.store import streams
from streamhub.store.db import Store


@attrs.define
class DirectLedger:
    store: Store
    applied: list[StreamEvent] = attrs.field(factory=list)

    async def apply(self, event: StreamEvent) -> None:
        await self.store.write(streams.apply_events, [event])
        self.applied.append(event)
