"""What runs have measured, printed at their end: the table of the matrix, and lines of figures."""

from __future__ import annotations

from typing import Any

import pytest

ROWS: pytest.StashKey[list[dict[str, str]]] = pytest.StashKey()
LINES: pytest.StashKey[list[str]] = pytest.StashKey()


def note(config: pytest.Config, row: dict[str, str]) -> None:
    """Remember one row of the matrix: column → text."""
    config.stash.setdefault(ROWS, []).append(row)


def tell(config: pytest.Config, line: str) -> None:
    """Remember a line of figures."""
    config.stash.setdefault(LINES, []).append(line)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what has been noted."""
    rows = config.stash.get(ROWS, [])
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if rows:
        widths = {c: max(len(c), *(len(row.get(c, "")) for row in rows)) for c in columns}
        terminalreporter.section("every input on every output: seconds until it played; after a stop; after a kill")
        for row in ({c: c for c in columns}, *rows):
            terminalreporter.write_line("  ".join(row.get(c, "").ljust(widths[c]) for c in columns).rstrip())
    if lines := config.stash.get(LINES, []):
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
