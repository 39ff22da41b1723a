"""Looking up many things in one read: whoever asks while a read runs shares the next one.

After a power cut all cameras come at once; a row read each, through a thread, would take them half a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

import attrs
import trio

from streamhub.errors import StoreError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@attrs.define(eq=False)
class _Batch(Generic[K, V]):
    keys: dict[K, None] = attrs.field(factory=dict)
    found: Mapping[K, V] | None = None
    error: StoreError | None = None


@attrs.define(eq=False)
class Batched(Generic[K, V]):
    """Look-ups by key. ``read`` gets a list of keys and answers those that exist."""

    read: Callable[[list[K]], Awaitable[Mapping[K, V]]]
    _next: _Batch[K, V] = attrs.field(factory=_Batch)
    # Set when the read under way ends, however it does; None without one. Those who waited go on in one turn of the
    # loop: a lock would cost one for each of them.
    _ended: trio.Event | None = None

    async def get(self, key: K) -> V | None:
        """What is there for the key, read after this call began. Raises what ``read`` raises of StoreError."""
        batch = self._next
        batch.keys[key] = None
        while batch.found is None and batch.error is None:
            # The first of a batch to go on reads for all of it; if it is cancelled, another one does.
            if self._ended is None:
                await self._read(batch)
            else:
                await self._ended.wait()
        if batch.error is not None:
            raise batch.error
        assert batch.found is not None
        return batch.found.get(key)

    async def _read(self, batch: _Batch[K, V]) -> None:
        if self._next is batch:
            self._next = _Batch()
        self._ended = ended = trio.Event()
        try:
            batch.found = await self.read(list(batch.keys))
        except StoreError as exc:
            batch.error = exc
        finally:
            self._ended = None
            ended.set()
