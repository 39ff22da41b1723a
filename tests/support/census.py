"""Counting what a program holds: tasks and descriptors. For tests that nothing is left behind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import attrs
import trio


def tasks() -> Counter[str]:
    """Every task of this run by name."""
    found: Counter[str] = Counter()
    waiting = [trio.lowlevel.current_root_task()]
    while waiting:
        task = waiting.pop()
        if task is not None:
            found[task.name] += 1
            for nursery in task.child_nurseries:
                waiting.extend(nursery.child_tasks)
    return found


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@attrs.frozen
class Census:
    """Tasks and descriptors at one moment; equal if nothing came or went."""

    tasks: Counter[str] = attrs.field(factory=tasks)
    descriptors: int = attrs.field(factory=descriptors)
