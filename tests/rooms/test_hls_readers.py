from __future__ import annotations

import pytest
import trio

from streamhub.rooms import hls_readers
from streamhub.rooms.hls_readers import HlsReaders


async def test_readers_when_they_ask_again_and_again_then_each_is_one_until_its_lease_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    readers = HlsReaders(30)
    assert readers.count() == 0
    for _ in range(10):
        readers.saw("10.0.0.1", "VLC", None)
        readers.saw("10.0.0.1", "Safari", None)
        readers.saw("10.0.0.2", "VLC", None)
        readers.saw("10.0.0.2", "VLC", "a token")
        await trio.sleep(1)
    assert readers.count() == 4
    await trio.sleep(15)
    readers.saw("10.0.0.2", "VLC", None)
    await trio.sleep(15)
    assert readers.count() == 1
    await trio.sleep(15)
    assert readers.count() == 0


async def test_readers_when_somebody_makes_up_names_then_the_memory_stays_small(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls_readers, "MOST", 100)
    readers = HlsReaders(30)
    for n in range(250):
        readers.saw("10.0.0.1", f"name {n}", None)
    assert readers.count() == 100
    await trio.sleep(31)
    readers.saw("10.0.0.1", "name \udc80", None)
    assert readers.count() == 1
