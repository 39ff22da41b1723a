"""The habits a linter does not know: sizes, docstrings of modules, nothing of one machine in the project's files."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES, MEDIAN_LINES = 400, 120
SIZED = {".py", ".js", ".css", ".html", ".sh"}
BINARY = {".png", ".jpg", ".jpeg", ".ico", ".gif", ".woff2", ".mp4", ".gz"}

# Built from pieces, so that this file does not contain what it looks for.
UNWANTED = {
    "a path of one machine": re.compile(
        r"(?<![\w.:/-])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "tm" + "p")) + r")(?![-\w])"
    ),
    "the address of a package registry": re.compile(
        "|".join(
            ("pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.", "deb" + r"\.debian\.org", "crates" + r"\.io")
        )
    ),
    "a note that something is unfinished": re.compile(
        r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b"
    ),
}


def project_files() -> list[Path]:
    """Every file of the project that git knows or would add; of an unpacked archive, every file outside of .venv."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        hidden = {".venv", ".cache", ".git", "data", "node_modules", "dist"}
        files = [p for p in ROOT.rglob("*") if not hidden & set(p.relative_to(ROOT).parts)]
    return [p for p in files if p.is_file() and "__pycache__" not in p.parts]


FILES = project_files()
MODULES = [p for p in FILES if p.suffix == ".py" and p.is_relative_to(ROOT / "streamhub")]


def lines_of(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_files_have_at_most_400_lines() -> None:
    sized = {str(p.relative_to(ROOT)): lines_of(p) for p in FILES if p.suffix in SIZED}
    assert sized
    assert {name: n for name, n in sized.items() if n > MOST_LINES} == {}


def test_modules_have_a_median_of_at_most_120_lines() -> None:
    sizes = [lines_of(p) for p in MODULES if p.name != "__init__.py"]
    assert statistics.median(sizes) <= MEDIAN_LINES


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_begins_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {p.parent for p in MODULES}
    assert [str(d.relative_to(ROOT)) for d in folders if not (d / "__init__.py").is_file()] == []


@pytest.mark.parametrize("what", UNWANTED)
def test_files_do_not_contain(what: str) -> None:
    found = []
    for path in FILES:
        if path.suffix in BINARY:
            continue
        name = path.relative_to(ROOT)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if UNWANTED[what].search(line):
                found.append(f"{name}:{number}: {line.strip()[:80]}")
    assert found == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "open('/" + "tmp/x')"),
        ("a path of one machine", "cd /" + "work"),
        ("the address of a package registry", "--index-url https://pypi" + ".org/simple"),
        ("a note that something is unfinished", "# TO" + "DO: later"),
    ],
)
def test_search_when_a_line_has_it_then_it_is_found(what: str, line: str) -> None:
    assert UNWANTED[what].search(line)


@pytest.mark.parametrize(
    "line", ["docs/work/x", "framework/", "the root nursery", "/rooted", "https://h/work", "a to-do list"]
)
def test_search_when_a_line_is_plain_then_nothing_is_found(line: str) -> None:
    assert not any(pattern.search(line) for pattern in UNWANTED.values())
