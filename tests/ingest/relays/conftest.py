"""Time jumps in these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.jumping import jump_in


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    jump_in(Path(__file__).parent, items)
