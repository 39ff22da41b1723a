"""The text of ``/metrics`` is made in parts; it is what the library makes at once."""

from __future__ import annotations

from datetime import UTC, datetime

import trio
from prometheus_client import generate_latest

from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import RoomStatus, SourceStatus, State, StreamType
from streamhub.observe.metrics import LINES_AT_ONCE, Metrics

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def room(n: int) -> RoomStatus:
    source = SourceStatus(
        f"r{n}/b", StreamType.WS_MJPEG, "b", None, NOW, NOW, 1.5, 1, 1, 1, "mjpeg", 1, {"fps": n, "not_jpeg": 1}
    )
    key = RoomKey(AppName("a" if n % 3 else "b"), RoomName(f"r{n}"))
    return RoomStatus(key, State.LIVE, NOW, source if n % 5 else None, {"mjpeg": n, "ws": 1})


def with_rooms(count: int) -> Metrics:
    metrics, rooms = Metrics(), [room(n) for n in range(count)]
    metrics.watch_rooms(lambda: rooms, lambda: (3, 4, {"fps": 5}), lambda: NOW)
    for n in range(LINES_AT_ONCE):
        metrics.http_observe("GET", f"/{n}", 200, 0.1)
    return metrics


async def test_exposition_when_there_are_many_rooms_then_the_text_is_the_librarys() -> None:
    metrics = with_rooms(3 * LINES_AT_ONCE + 1)
    found = (await metrics.exposition()).decode().splitlines()
    expected = generate_latest(metrics.registry).decode().splitlines()
    stable = [line for line in expected if not line.startswith("process_")]
    assert [line for line in found if not line.startswith("process_")] == stable
    assert len(stable) > 5 * 3 * LINES_AT_ONCE


async def test_exposition_when_there_are_many_rooms_then_others_have_their_turn() -> None:
    metrics, turns = with_rooms(10 * LINES_AT_ONCE), 0
    async with trio.open_nursery() as nursery:

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        nursery.start_soon(count)
        await metrics.exposition()
        nursery.cancel_scope.cancel()
    assert turns > 5 * 10
