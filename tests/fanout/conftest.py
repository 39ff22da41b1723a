"""Time jumps where no other process is waited for, and every viewer is passed on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamhub.fanout.crew import Crew
from tests.fanout.in_process import Workers, crew_of
from tests.support import media
from tests.support.jumping import jump_in

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    jump_in(HERE, [item for item in items if item.path.name != "test_process.py"])


@pytest.fixture
async def two(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Crew, Workers]]:
    """Two workers that all viewers of the media server go to."""
    monkeypatch.setattr("streamhub.playback.requests.PASS_ON_FROM", 0)
    monkeypatch.setattr("streamhub.fanout.crew.PASS_ON_FROM", 1)
    async with crew_of(2) as (crew, workers):
        monkeypatch.setattr(media, "carriers", crew)
        yield crew, workers
