"""Waiting for something another process does: it cannot set an event of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio


async def eventually(check: Callable[[], Awaitable[bool]] | Callable[[], bool], within_s: float = 10.0) -> None:
    """Return once ``check`` is true; fails after ``within_s``."""
    with trio.fail_after(within_s):
        while True:
            found = check()
            if found is True or (not isinstance(found, bool) and await found):
                return
            await trio.sleep(0.02)
