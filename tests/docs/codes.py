"""Finds every error code in the source: of error classes, of their calls, of helpers that pass one on.

What a relay worker says of a source has codes too: those are words between it and the server, not of the API.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT

# Classes that are given a code first; messages of relay workers.
KEEPERS, MESSAGES = {"StreamKeyLimits": 0}, {"Ended", "SinkEnded"}


def error_codes() -> set[str]:
    """All of the package's codes."""
    found: set[str] = set()
    for path in sorted((ROOT / "streamhub").rglob("*.py")):
        if "relay" not in path.relative_to(ROOT).parts:
            found |= set(_codes(path))
    return found


def _codes(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    helpers = dict(_passing_on(tree)) | KEEPERS
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _class_code(node)
        elif isinstance(node, ast.Call):
            given = [k.value for k in node.keywords if k.arg == "code"]
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name in MESSAGES:
                continue
            if name in helpers and len(node.args) > helpers[name]:
                given.append(node.args[helpers[name]])
            yield from (v.value for v in given if isinstance(v, ast.Constant) and isinstance(v.value, str))
        elif isinstance(node, ast.Dict) and path.name == "failures.py":
            # The table of SQLite's results: (code, message, hint).
            tuples = [v for v in node.values if isinstance(v, ast.Tuple)]
            yield from (ast.literal_eval(t.elts[0]) for t in tuples)


def _class_code(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            target, value = statement.targets[0], statement.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=True)
            else:
                pairs = iter([(target, value)])
            for one, its in pairs:
                if isinstance(one, ast.Name) and one.id == "code" and isinstance(its, ast.Constant):
                    yield str(its.value)
        elif isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "code" and statement.value:
            # None: a field of a message, not the code of an error.
            yield from (str(v) for v in [ast.literal_eval(statement.value)] if v is not None)


def _passing_on(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions of the module that take a code and pass it on: name and place of the parameter."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [a.arg for a in node.args.args]
            if "code" in names and any(
                isinstance(k, ast.keyword) and k.arg == "code" and ast.unparse(k.value) == "code"
                for k in ast.walk(node)
            ):
                yield node.name, names.index("code")
