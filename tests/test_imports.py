"""Who may import whom: the layers of the package, read from the source of every module.

The table is the one of docs/decisions/0005; a new package does not pass before it has a row here. Imports inside
functions and under TYPE_CHECKING count: a type is a dependency too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "streamhub"
ALL = frozenset({"*"})
COMMON = frozenset({"errors", "model", "observe"})

# Package or top module -> parts of streamhub it may import besides itself. "" is streamhub/__init__.py (the version).
ALLOWED: dict[str, frozenset[str]] = {
    "": frozenset(),
    "errors": frozenset(),
    "settings": frozenset({"errors", "model"}),
    "model": COMMON,
    "observe": COMMON,
    "wire": frozenset({"errors", "model"}),
    "store": COMMON,
    "net": COMMON | {"wire"},
    "rooms": COMMON | {"wire"},
    "fanout": COMMON | {"net", "rooms", "wire"},
    "livekit": COMMON | {"wire", "net"},
    "ingest": COMMON | {"wire", "rooms", "livekit", "net"},
    "services": COMMON | {"store", "rooms", "livekit", "ingest", "wire", "net"},
    "playback": COMMON | {"services", "rooms", "wire", "net"},
    "web": COMMON | {"services", "ingest", "rooms", "wire", "net"},
    "relay": frozenset({"errors", "model", "wire"}),
    "simulator": COMMON | {"wire"},
    "doors": COMMON | {"ingest", "livekit", "net", "playback", "rooms", "wire"},
    "demo": COMMON | {"net", "services", "simulator"},
    "relaying": COMMON | {"ingest", "livekit", "net", "rooms", "services", "wire"},
    "main": ALL,
    "cli": ALL,
    "__main__": ALL,
}

# Module outside streamhub -> the only parts that may import it.
HOLDERS: dict[str, frozenset[str]] = {
    "quart": frozenset({"web", "main"}),
    "quart_trio": frozenset({"web", "main"}),
    "werkzeug": frozenset({"web"}),
    "hypercorn": frozenset({"net", "main"}),
    "sqlite3": frozenset({"store"}),
    "sqlite_utils": frozenset({"store"}),
    "click": frozenset({"cli"}),
    "livekit": frozenset({"livekit", "relay"}),
    "av": frozenset({"relay"}),
    "aiortc": frozenset({"relay"}),
    "aioice": frozenset({"relay"}),
    "asyncio": frozenset({"relay"}),
    "aiohttp": frozenset(),
    "anyio": frozenset(),
    "streamhub.settings": frozenset({"main", "cli", "__main__"}),
}

# Part -> modules outside streamhub that it must do without.
DENIED: dict[str, frozenset[str]] = {
    "model": frozenset({"trio", "socket", "ssl", "select", "threading", "subprocess", "os", "cattrs", "structlog"}),
    "wire": frozenset({"trio", "trio_websocket", "socket", "ssl", "select", "threading", "subprocess", "time"}),
}


def part_of(path: Path) -> str:
    """``rooms`` for streamhub/rooms/hub.py, ``main`` for streamhub/main.py, ``""`` for streamhub/__init__.py."""
    inside = path.relative_to(ROOT)
    if len(inside.parts) > 1:
        return inside.parts[0]
    return "" if inside.stem == "__init__" else inside.stem


def imports_of(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything imported by a module that lies in ``package``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called.endswith(("import_module", "__import__")) and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def problems(part: str, source: str, package: str) -> list[str]:
    """What a module of ``part`` may not import, as ``line: name``."""
    out = []
    for line, name in imports_of(source, package):
        words = name.split(".")
        if words[0] == "streamhub":
            target = words[1] if len(words) > 1 and words[1] != "__version__" else ""
            allowed = ALLOWED[part]
            if target not in ("", part) and "*" not in allowed and target not in allowed:
                out.append(f"{line}: {name}: '{part}' may import only {sorted(allowed)}")
        for held, holders in HOLDERS.items():
            if (name == held or name.startswith(f"{held}.")) and part not in holders and part != held.split(".")[-1]:
                out.append(f"{line}: {name}: only {sorted(holders)} may import {held}")
        if words[0] in DENIED.get(part, ()):
            out.append(f"{line}: {name}: '{part}' does without {words[0]}")
    return out


MODULES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_of_a_module_keep_to_the_table(path: Path) -> None:
    package = ".".join(["streamhub", *path.relative_to(ROOT).parent.parts])
    assert problems(part_of(path), path.read_text("utf-8"), package) == []


def test_table_when_a_package_is_added_then_it_needs_a_row() -> None:
    assert MODULES, "no module found: the test looks in the wrong place"
    assert {part_of(p) for p in MODULES} <= set(ALLOWED)


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("rooms", "from streamhub.store import db"),
        ("rooms", "from streamhub import store"),
        ("rooms", "from ..store.db import Store"),
        ("rooms", "import streamhub.web.app"),
        ("rooms", "def f():\n    from streamhub.services import ledger"),
        ("net", "import importlib\nimportlib.import_module('streamhub.rooms')"),
        ("playback", "from quart import request"),
        ("services", "import sqlite3"),
        ("web", "from streamhub.settings import Settings"),
        ("web", "from streamhub import settings"),
        ("wire", "import trio"),
        ("wire", "from streamhub.observe import log"),
        ("model", "from trio import Event"),
        ("store", "import asyncio"),
    ],
)
def test_check_when_a_line_breaks_the_table_then_it_is_found(part: str, line: str) -> None:
    assert problems(part, line, f"streamhub.{part}")


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("rooms", "from streamhub.wire import jpeg"),
        ("rooms", "from . import latest"),
        ("web", "from streamhub import __version__"),
        ("web", "from quart import request"),
        ("livekit", "from livekit import api"),
        ("main", "from streamhub.settings import Settings"),
        ("cli", "import streamhub.store.db"),
    ],
)
def test_check_when_a_line_keeps_to_the_table_then_it_passes(part: str, line: str) -> None:
    assert problems(part, line, f"streamhub.{part}") == []
