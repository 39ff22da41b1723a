"""What the measurements share: percentiles, the table people read, the JSON that programs read."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def percentile(values: Sequence[float], per_cent: float) -> float:
    """The value that so many per cent do not exceed (nearest rank); ``values`` is not empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * per_cent / 100) - 1)]


def machine() -> dict[str, Any]:
    """Where it was measured; ``load`` says whether anything else ran."""
    return {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(), "load": load()}


def load() -> float:
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, its own threads included and its children not."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def save(path: Path | None, name: str, figures: Mapping[str, Any]) -> None:
    """Write the figures as JSON if a file was asked for."""
    if path is not None:
        path.write_text(json.dumps({"bench": name, "machine": machine(), **figures}, indent=2) + "\n", "utf-8")
