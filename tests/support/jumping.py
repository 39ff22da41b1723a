"""Time that jumps to the next deadline when nothing happens, for every async test of a folder."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

# Bytes on a real socket need a moment to arrive: so long nothing must happen before time jumps.
THRESHOLD_S = 0.005


def run_jumping(main: Any, **options: Any) -> Any:
    """``trio.run`` with a clock that jumps, unless the test brought one."""
    if options.get("clock") is None:
        options["clock"] = trio.testing.MockClock(autojump_threshold=THRESHOLD_S)
    return trio.run(main, **options)


def jump_in(folder: Path, items: Iterable[pytest.Item]) -> None:
    """Run the folder's async tests so; for ``pytest_collection_modifyitems``."""
    for item in items:
        if not isinstance(item, pytest.Function) or not item.path.is_relative_to(folder):
            continue
        if inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.trio(run=run_jumping), append=False)
