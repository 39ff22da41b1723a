"""The process's memory: what a crowd needed goes back to the system when the crowd has gone.

glibc keeps freed memory for later, in as many heaps as threads have allocated at once, and gives back only what lies
at a heap's end. Elsewhere than on glibc nothing here does anything. Source: mallopt(3), malloc_trim(3).
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import attrs
import trio

LOOK_EVERY_S = 5.0
KEEP_AFTER_S = 0.5
# So many connections fewer than at the last peak are worth a look through the heap (milliseconds, in a thread).
WORTH_IT = 100
_M_ARENA_MAX = -8


def use_one_heap() -> None:
    """All threads allocate from one heap from now on; call it before the first of them starts.

    The interpreter lets one thread work at a time anyway, so that further heaps cost memory and save nothing.
    """
    if (mallopt := _libc("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, 1)


def keep_what_is_there() -> None:
    """Tell the collector that everything made so far stays: it need not look through it again.

    Without this each full collection stops the loop for as long as it takes to visit every module's objects. So does
    this, once.
    """
    gc.collect()
    gc.freeze()


async def keep_what_started() -> None:
    """The same a moment after the start, for it takes 50 ms and somebody waits for the first answer."""
    await trio.sleep(KEEP_AFTER_S)
    keep_what_is_there()


@attrs.define
class GiveBack:
    """Watches a count of connections and trims the heap after many have gone. ``run`` is a task of its owner's."""

    connections: Callable[[], int]
    trim: Callable[[], object]
    _peak: int = 0

    async def run(self) -> None:
        """Look every five seconds, until cancelled."""
        while True:
            await trio.sleep(LOOK_EVERY_S)
            now = self.connections()
            if self._peak - now >= WORTH_IT:
                self._peak = now
                await trio.to_thread.run_sync(self.trim)
            self._peak = max(self._peak, now)


def trim() -> None:
    """Give the heap's free pages back to the system. Blocking."""
    if (malloc_trim := _libc("malloc_trim")) is not None:
        malloc_trim(0)


def _libc(name: str) -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return found
