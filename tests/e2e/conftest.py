"""Whole flows against a real server process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.matrix.table import pytest_terminal_summary
from tests.support.server import Server, run_server

__all__ = ["pytest_terminal_summary"]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A fresh server."""
    async with run_server(tmp_path) as running:
        yield running
