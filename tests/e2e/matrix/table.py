"""The table that is printed at the end of a run: which cells played, with which codecs and how soon."""

from __future__ import annotations

from typing import Any

import pytest

ROWS: pytest.StashKey[list[dict[str, str]]] = pytest.StashKey()


def note(config: pytest.Config, row: dict[str, str]) -> None:
    """Remember one row: column → text."""
    config.stash.setdefault(ROWS, []).append(row)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print what has been noted."""
    rows = config.stash.get(ROWS, [])
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if not rows:
        return
    widths = {c: max(len(c), *(len(row.get(c, "")) for row in rows)) for c in columns}
    terminalreporter.section("every input on every output")
    for row in ({c: c for c in columns}, *rows):
        terminalreporter.write_line("  ".join(row.get(c, "").ljust(widths[c]) for c in columns).rstrip())
