"""Answers: what a long one does to everybody else."""

from __future__ import annotations

import trio

from streamhub.web.routing import ITEMS_AT_ONCE, _dump_all


async def test_dump_all_when_the_list_is_long_then_others_have_their_turns_between() -> None:
    turns, done = 0, False

    async def others() -> None:
        nonlocal turns
        while not done:
            await trio.lowlevel.checkpoint()
            turns += 1

    items = [str(n) for n in range(10 * ITEMS_AT_ONCE + 1)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        assert await _dump_all(items) == items
        assert turns >= 5  # of ten pauses; who is first in each is chance
        assert await _dump_all(items[:ITEMS_AT_ONCE]) == items[:ITEMS_AT_ONCE]
        assert await _dump_all([]) == []
        done = True
