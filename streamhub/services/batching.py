"""Looking up many things in one read: whoever asks while a read runs shares the next one.

After a power cut all cameras come at once; a row read each, through a thread, would take them half a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

import attrs
import trio

from streamhub.errors import StoreError

V = TypeVar("V")


@attrs.define(eq=False)
class _Batch(Generic[V]):
    keys: set[str] = attrs.field(factory=set)
    found: Mapping[str, V] | None = None
    error: StoreError | None = None


@attrs.define(eq=False)
class Batched(Generic[V]):
    """Look-ups by text. ``read`` gets a list of keys and answers those that exist."""

    read: Callable[[list[str]], Awaitable[Mapping[str, V]]]
    _next: _Batch[V] = attrs.field(factory=_Batch)
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    async def get(self, key: str) -> V | None:
        """What is there for the key, read after this call began. Raises what ``read`` raises of StoreError."""
        batch = self._next
        batch.keys.add(key)
        async with self._turn:
            # The first of a batch to get its turn reads for all of it; if it is cancelled, the next one does.
            if batch.found is None and batch.error is None:
                if self._next is batch:
                    self._next = _Batch()
                try:
                    batch.found = await self.read(sorted(batch.keys))
                except StoreError as exc:
                    batch.error = exc
        if batch.error is not None:
            raise batch.error
        assert batch.found is not None
        return batch.found.get(key)
