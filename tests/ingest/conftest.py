from __future__ import annotations

import pytest
import trio.testing


@pytest.fixture
def jump_clock() -> trio.testing.MockClock:
    """Time jumps to the next deadline once nothing has happened for 20 real milliseconds: loopback is faster."""
    return trio.testing.MockClock(autojump_threshold=0.02)
