"""Bringing to its end what must not stop half-way, without holding up a server that stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from streamhub.errors import StreamHubError

T = TypeVar("T")


async def finish(act: Callable[[], Awaitable[T]], grace_s: float) -> T:
    """What ``act`` returns, or its StreamHubError. If the caller is cancelled, ``act`` has ``grace_s`` more to end."""
    scope, over = trio.CancelScope(shield=True), trio.Event()
    returned: list[T] = []
    failed: list[StreamHubError] = []

    async def work() -> None:
        try:
            with scope:
                returned.append(await act())
        except StreamHubError as exc:
            failed.append(exc)
        finally:
            over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        try:
            await over.wait()
        except trio.Cancelled:
            scope.deadline = trio.current_time() + grace_s
            raise
    if failed:
        raise failed[0]
    return returned[0]
