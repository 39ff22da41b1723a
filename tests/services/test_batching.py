"""Who asks while a read runs shares the next one."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from streamhub.errors import StoreError
from streamhub.services.batching import Batched


class Slow:
    """A table of three rows whose reads wait for a gate."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.gate = trio.Event()
        self.error: StoreError | None = None

    async def __call__(self, keys: list[str]) -> dict[str, int]:
        self.calls.append(keys)
        await self.gate.wait()
        if self.error:
            raise self.error
        return {k: v for k, v in {"a": 1, "b": 2, "c": 3}.items() if k in keys}


async def ask(table: Batched[str, int], key: str, found: dict[str, int | None]) -> None:
    found[key] = await table.get(key)


async def test_get_when_a_read_runs_then_all_others_share_the_next() -> None:
    slow, found = Slow(), {}
    table = Batched(slow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, table, "a", found)
        await trio.testing.wait_all_tasks_blocked()
        for key in ("b", "c", "missing"):
            nursery.start_soon(ask, table, key, found)
        await trio.testing.wait_all_tasks_blocked()
        slow.gate.set()
    assert [sorted(keys) for keys in slow.calls] == [["a"], ["b", "c", "missing"]]
    assert found == {"a": 1, "b": 2, "c": 3, "missing": None}


async def test_get_when_the_reading_caller_is_cancelled_then_another_reads_for_the_batch() -> None:
    slow, found = Slow(), {}
    table = Batched(slow)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as first:
            first.start_soon(ask, table, "a", found)
            nursery.start_soon(ask, table, "b", found)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
        slow.gate.set()
    assert found.get("b") == 2


async def test_get_when_the_read_fails_then_everybody_in_the_batch_is_told() -> None:
    slow = Slow()
    slow.error = StoreError("disk full")
    slow.gate.set()
    table = Batched(slow)
    with pytest.raises(StoreError):
        await table.get("a")
    slow.error = None
    assert await table.get("a") == 1
