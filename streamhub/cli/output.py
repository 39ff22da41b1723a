"""What commands print: aligned tables for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from streamhub.errors import BadRequest
from streamhub.web.schema import dump


def show_json(value: object) -> None:
    """Print a value or a list of values as the API writes them."""
    click.echo(json.dumps([dump(v) for v in value] if isinstance(value, list) else dump(value), indent=2))


def show_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their heads, or ``empty`` without any."""
    texts = [[_cell(value) for value in row] for row in rows]
    if not texts:
        click.echo(empty)
        return
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    for line in (head, *texts):
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())


def show_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one a line."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        click.echo(f"{name:<{width}}  {_cell(value)}".rstrip())


def show_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as CSV with a head line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    click.echo(out.getvalue(), nl=False)


def read_secret(path: str) -> str:
    """The one line of a file, or of standard input for '-': no secret stands on a command line. Raises BadRequest."""
    try:
        with click.open_file(path, encoding="utf-8") as file:
            text: str = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadRequest(f"cannot read {path}: {getattr(exc, 'strerror', None) or 'not UTF-8 text'}") from None
    return text.strip()


def confirm(question: str, yes: bool) -> None:
    """Return if a person agrees, or ``yes`` was given; without a terminal ``yes`` is needed. Aborts otherwise."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is nobody to ask: add --yes")
    click.confirm(question, abort=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(_cell, value))
    return str(value)
