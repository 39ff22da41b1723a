"""Files of rooms and keys: what ``keys create --from`` and ``keys import`` read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import click

from streamhub.errors import BadRequest, FieldProblem, Invalid
from streamhub.services.keys import NewKey
from streamhub.web.schema import parse

_HINT = "Give a JSON listing with room and streamKey in each row, or CSV lines 'room,key[,identity]'."
_COLUMNS = {"room": "room", "key": "streamKey", "streamkey": "streamKey", "identity": "identity"}


def read_names(path: Path) -> list[str]:
    """The rooms of a file, one a line; empty lines and what follows '#' do not count. Raises BadRequest."""
    lines = (line.partition("#")[0].strip() for line in _read(path).lstrip("\ufeff").splitlines())
    rooms = [line for line in lines if line]
    if not rooms:
        raise BadRequest(f"{path} names no room", hint="Write one room a line.")
    return rooms


def read_import(path: Path) -> list[NewKey]:
    """The keys of a listing. Raises BadRequest, or Invalid naming every bad row; no error shows a key."""
    text = _read(path).lstrip("\ufeff")
    rows = _json_rows(path, text) if text.lstrip()[:1] in ("[", "{") else _csv_rows(path, text)
    if not rows:
        raise BadRequest(f"{path} lists no key", hint=_HINT)
    found: list[NewKey] = []
    problems: list[FieldProblem] = []
    for place, row in rows:
        if not row.get("streamKey"):
            problems.append(FieldProblem(f"{place}.key", "is required"))
            continue
        try:
            found.append(parse(NewKey, row, place))
        except Invalid as exc:
            problems += [FieldProblem(f"{place}.{p.path}", p.message) for p in exc.fields]
    if problems:
        listed = "; ".join(f"{p.path} {p.message}" for p in problems[:5]) + ("; …" if len(problems) > 5 else "")
        raise Invalid(f"{path} has {len(problems)} bad values: {listed}", hint=_HINT, fields=problems)
    return found


def _read(path: Path) -> str:
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            content: str = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadRequest(f"cannot read {path}: {getattr(exc, 'strerror', None) or 'not UTF-8 text'}") from None
    return content


def _json_rows(path: Path, text: str) -> list[tuple[str, dict[str, object]]]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as exc:
        raise BadRequest(f"{path} is not JSON: {exc.msg} (line {exc.lineno})", hint=_HINT) from None
    rows = data.get("data") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
        raise BadRequest(f"{path} is not a list of keys", hint=_HINT)
    # A listing carries more than we need: its ids and times are the other server's.
    return [
        (f"row {n}", {name: row[name] for name in ("room", "streamKey", "identity") if row.get(name) is not None})
        for n, row in enumerate(rows, start=1)
    ]


def _csv_rows(path: Path, text: str) -> list[tuple[str, dict[str, object]]]:
    try:
        lines = [[cell.strip() for cell in cells] for cells in csv.reader(text.splitlines(), strict=True)]
    except csv.Error as exc:
        raise BadRequest(f"{path} is not CSV: {exc}", hint=_HINT) from None
    head: list[str | None] = ["room", "streamKey", "identity"]
    start = 0
    if lines and "room" in (named := [_COLUMNS.get(c.lower().replace("_", "")) for c in lines[0]]):
        head, start = named, 1
    return [
        (f"line {n}", {name: cell for name, cell in zip(head, cells, strict=False) if name and cell})
        for n, cells in enumerate(lines[start:], start=start + 1)
        if any(cells)
    ]
