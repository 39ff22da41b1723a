"""Declares the fields of request values: default, meaning and limits in one place.

The web layer checks requests by these declarations and prints them as JSON Schema; the command line uses the same.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import attrs


class Unset(enum.Enum):
    """The one value that says a field was not sent, where null means something."""

    UNSET = "unset"


T = TypeVar("T")
UNSET: Final = Unset.UNSET


@attrs.frozen
class Check:
    """One limit: the test, what to tell the sender when it fails, and its words in JSON Schema."""

    test: Callable[[Any], bool]
    message: str
    schema: Mapping[str, object] = attrs.field(factory=dict)


def declared(
    doc: str,
    *checks: Check,
    default: Any = attrs.NOTHING,
    factory: Callable[[], Any] | None = None,
    secret: bool = False,
) -> Any:
    """A field with its meaning and checks; without a default it must be sent. Null is checked by the type alone.

    The value of a ``secret`` field is never repeated in an error or a repr.
    """
    metadata = {"doc": doc, "checks": checks, "secret": secret}
    if factory is not None:
        return attrs.field(factory=factory, metadata=metadata)
    return attrs.field(default=default, metadata=metadata, repr=not secret)


PRINTABLE = Check(lambda v: v.isprintable(), "expected no control characters")


def between(least: int, most: int) -> Check:
    """A number within limits, both included."""
    return Check(
        lambda v: least <= v <= most, f"expected {least} to {most}", schema={"minimum": least, "maximum": most}
    )


def length(least: int, most: int) -> Check:
    """A text of that many characters."""
    many = f"{least} to {most} characters" if least else f"at most {most} characters"
    limits = {"maxLength": most} | ({"minLength": least} if least else {})
    return Check(lambda v: least <= len(v) <= most, f"expected {many}", schema=limits)


def items(least: int, most: int) -> Check:
    """A list of that many items."""
    return Check(
        lambda v: least <= len(v) <= most,
        f"expected {least} to {most} items",
        schema={"minItems": least, "maxItems": most},
    )


def like(pattern: re.Pattern[str], expected: str) -> Check:
    """A text that matches the whole pattern."""
    return Check(
        lambda v: pattern.fullmatch(v) is not None, f"expected {expected}", schema={"pattern": f"^{pattern.pattern}$"}
    )


@attrs.frozen
class Paging:
    """Which part of a list is wanted."""

    limit: int = declared("Most rows in the answer.", between(1, 500), default=50)
    offset: int = declared("Rows left out at the start.", between(0, 1_000_000_000), default=0)


@attrs.frozen
class Page(Generic[T]):
    """A part of a list, and how long the whole list is."""

    items: list[T]
    total: int
    paging: Paging
