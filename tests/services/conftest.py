"""Time jumps in the tests that need periods to pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jumping import jump_in


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for name in ("test_livekit_egress.py", "test_livekit_reconcile.py", "test_livekit_reconcile_ingress.py"):
        jump_in(Path(__file__).with_name(name), items)
