"""The measured rows as tables for people, and as the part of docs/performance.md that scripts/bench writes."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.figures import load, machine, percentile, table
from tests.bench.runs import Bench, Row

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- written by scripts/bench --write -->", "<!-- end of what scripts/bench wrote -->"


def where() -> str:
    """The machine and its load just now."""
    found = machine()
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    cpu = model[1].strip() if model else platform.machine()
    return f"{found['cores']} cores ({cpu}), Python {found['python']}, load {found['load']} at the begin"


def delay(bench: Bench, what: str, ms: Sequence[float], most: float | None) -> None:
    """A percentile of call times: compared with ``most``, or only told."""
    if not ms:
        bench.note(f"{what}: no call was answered")
        return
    value = percentile(ms, 99)
    detail = f"p50 {percentile(ms, 50):.1f} ms of {len(ms)}"
    bench.target(f"{what}, ms", value, "" if most is None else f"≤ {most:g}", most is None or value <= most, detail)


def text(bench: Bench, before: str) -> str:
    """All tables."""
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = [f"{before}, {load()} at the end; {bench.rounds} rounds of {bench.seconds:g} s; {when}.", ""]
    if bench.targets:
        head = ("What", "Measured", "Wanted", "", "")
        marks = {True: "reached", False: "**missed**"}
        rows = [
            (t["what"], f"{t['value']:.2f}", t["wanted"] or "–", marks[t["met"]] if t["wanted"] else "", t["detail"])
            for t in bench.targets
        ]
        lines += [table([head, *rows]), ""]
    if bench.rows:
        head = (
            "Case",
            "Server",
            "µs a frame",
            "missed",
            "p50 ms",
            "p99 ms",
            "server",
            "generator",
            "RSS MB",
            "joined s",
        )
        lines += [table([head, *map(_cells, bench.rows)]), ""]
    for words in dict.fromkeys(bench.notes):
        lines.append(f"- {words}")
    return "\n".join(lines).rstrip() + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    joined = row["join_s"] if row["viewers"] else row["cameras_s"]
    delays = (f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}") if row["viewers"] else ("", "")
    lost = f"{row['missed']:.1%}" if row["viewers"] else f"{row['skipped']} skipped"
    slow = f"; slow ones {row['slow_age_ms'] / 1000:.2f} s behind" if row["slow_age_ms"] else ""
    return (
        row["case"], row["server"] + slow, f"{row['us_per_frame']:.1f}", lost, *delays,
        f"{row['server_cpu']:.0%}", f"{row['generator_cpu']:.0%}", f"{row['rss_mb']:.0f}", f"{joined:.2f}",
    )  # fmt: skip


def write(words: str) -> None:
    """Put the tables between their marks in docs/performance.md. Raises ValueError if the marks are gone."""
    page = PAGE.read_text("utf-8")
    begin, end = page.index(BEGIN), page.index(END)
    PAGE.write_text(f"{page[: begin + len(BEGIN)]}\n\n{words}\n{page[end:]}", "utf-8")
