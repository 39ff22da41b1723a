"""Reads the project's Markdown: tables below a heading, fenced blocks, links."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])


@attrs.frozen
class Block:
    """A fenced block: its language, its text, where it begins."""

    page: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block without comments, continued ones joined."""
        joined = self.text.replace("\\\n", " ")
        lines = [re.sub(r"\s+# .*", "", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in re.finditer(r"^```([a-z]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(str(page.relative_to(ROOT)), line, match[1], match[2]))
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def table(page: Path, heading: str) -> list[list[str]]:
    """The rows, without the head, of the first table below the heading. A cell that is all code loses its quotes."""
    _, found, rest = page.read_text("utf-8").partition(f"\n{heading}\n")
    assert found, f"{page.name} has no heading {heading!r}"
    lines = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert lines, f"{page.name} has no table below {heading!r}"
    return [_cells(line) for line in lines[0].splitlines()[2:]]


def _cells(line: str) -> list[str]:
    cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
    return [cell[1:-1] if re.fullmatch(r"`[^`]*`", cell) else cell for cell in cells]


def as_table(rows: list[list[str]]) -> str:
    """Rows as Markdown, for the message of a failing comparison: ready to be pasted."""
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
