"""One read however many ask; nothing stale after ``forget``."""

from __future__ import annotations

import trio
import trio.testing

from streamhub.model.clock import utc_now
from streamhub.services.app_cache import AppCache
from streamhub.services.apps import NewApp, add_app
from streamhub.store import apps as rows
from streamhub.store.db import Store


class CountingStore:
    """A store whose reads are counted and may be held back."""

    def __init__(self, store: Store) -> None:
        self.store, self.reads, self.gate = store, 0, trio.Event()
        self.gate.set()

    async def read(self, fn, *args):
        self.reads += 1
        found = await self.store.read(fn, *args)
        await self.gate.wait()
        return found


async def test_find_when_a_crowd_asks_then_one_read(store: Store) -> None:
    await store.write(add_app, NewApp(name="garden"), utc_now())
    counting = CountingStore(store)
    cache = AppCache(counting)  # type: ignore[arg-type]
    found = []

    async def ask(name: str) -> None:
        found.append(await cache.find(name))

    for name, crowd in (("garden", 50), ("nobody", 50)):
        counting.gate = trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(crowd):
                nursery.start_soon(ask, name)
            await trio.testing.wait_all_tasks_blocked()
            counting.gate.set()
    assert counting.reads == 2
    assert [f.name if f else None for f in found] == ["garden"] * 50 + [None] * 50
    await cache.find("garden")
    assert counting.reads == 2


async def test_find_when_forgotten_during_the_read_then_the_old_row_is_not_kept(store: Store) -> None:
    await store.write(add_app, NewApp(name="garden"), utc_now())
    counting = CountingStore(store)
    counting.gate = trio.Event()
    cache = AppCache(counting)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.find, "garden")
        await trio.testing.wait_all_tasks_blocked()
        row = await store.read(rows.by_name, "garden")
        assert row is not None
        await store.write(rows.delete, row.id)
        cache.forget()
        counting.gate.set()
    assert await cache.find("garden") is None


async def test_find_when_the_reader_is_cancelled_then_a_waiter_reads(store: Store) -> None:
    await store.write(add_app, NewApp(name="garden"), utc_now())
    counting = CountingStore(store)
    counting.gate = trio.Event()
    cache = AppCache(counting)  # type: ignore[arg-type]
    found = []

    async def ask() -> None:
        found.append(await cache.find("garden"))

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as first:
            first.start_soon(cache.find, "garden")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
        counting.gate.set()
    assert found[0] is not None
    assert counting.reads == 2
