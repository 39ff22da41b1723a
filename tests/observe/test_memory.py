"""Memory goes back to the system after a crowd has gone."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest
import trio

from streamhub.observe.memory import WORTH_IT, GiveBack, keep_what_is_there

FRAGMENT = """
from streamhub.observe.memory import trim, use_one_heap

def resident_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

use_one_heap()
blocks = [bytes(60_000) for _ in range(2000)]
kept = blocks[-1]
before = resident_kb()
del blocks
held = resident_kb()
trim()
print(before, held, resident_kb())
"""


@pytest.mark.parametrize(
    ("counts", "trimmed"),
    [
        ([0, 1000, 1000, 10, 10], 1),
        ([1000, 500, 450, 350], 2),
        ([WORTH_IT - 1, 0, WORTH_IT - 1, 0], 0),
        ([10, 500, 1000], 0),
    ],
    ids=["a crowd goes", "goes in parts", "a few come and go", "only comes"],
)
async def test_give_back_when_connections_go_then_once_per_crowd(
    counts: list[int], trimmed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub.observe.memory.LOOK_EVERY_S", 0.001)
    done: list[int] = []
    given = iter(counts)
    over = trio.Event()

    def connections() -> int:
        if (now := next(given, None)) is None:
            over.set()
            return counts[-1]
        return now

    async with trio.open_nursery() as nursery:
        nursery.start_soon(GiveBack(connections, lambda: done.append(1)).run)
        with trio.fail_after(30):
            await over.wait()
        nursery.cancel_scope.cancel()
    assert len(done) == trimmed


def test_trim_when_most_of_the_heap_is_free_then_the_system_has_it_back() -> None:
    ran = subprocess.run([sys.executable, "-c", FRAGMENT], capture_output=True, text=True, check=True, timeout=60)
    before, held, after = map(int, ran.stdout.split())
    assert held > before / 2, "the kept block was meant to hold the heap's end"
    assert after < before / 2


def test_keep_what_is_there_then_the_collector_leaves_it_alone() -> None:
    try:
        keep_what_is_there()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
