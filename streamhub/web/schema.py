"""JSON to declared values and back: strict types, every problem at once with its path, camelCase on the wire.

Built on cattrs' dispatch by type; the hooks here collect problems instead of stopping at the first. Limits and
meanings come from ``services.fields.declared``.
"""

from __future__ import annotations

import difflib
import enum
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from streamhub.errors import FieldProblem, Invalid
from streamhub.services.fields import Unset

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]
_WORDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
_LONGEST_ECHO = 60


def wire_name(name: str) -> str:
    """``idle_timeout_sec`` → ``idleTimeoutSec``."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def name_of(field: attrs.Attribute[Any]) -> str:
    """The field's name on the wire: what its metadata says under ``wire``, else camelCase."""
    return str(field.metadata.get("wire") or wire_name(field.name))


def parse(cls: type[T], data: object, what: str = "body") -> T:
    """The value of class ``cls``. Raises Invalid naming every bad field; ``what`` is used in its message."""
    try:
        value: T = _converter.structure(data, cls)
    except Problems as exc:
        found = [attrs.evolve(p, path=p.path or what) for p in exc.problems]
        raise Invalid(
            f"the {what} is not valid: " + "; ".join(f"{p.path}: {p.message}" for p in found), fields=found
        ) from None
    return value


def parse_query(cls: type[T], query: Mapping[str, str]) -> T:
    """As ``parse``, from texts: numbers and booleans are read from their spelling."""
    kinds = {wire_name(a.name): single_type(a.type) for a in fields_of(cls)}
    return parse(cls, {name: _from_text(kinds.get(name), text) for name, text in query.items()}, "query")


def dump(value: object) -> Any:
    """The JSON form of an answer."""
    return _converter.unstructure(value)


def fields_of(cls: Any) -> tuple[attrs.Attribute[Any], ...]:
    """The fields of a declared class, their types resolved."""
    return tuple(attrs.fields(attrs.resolve_types(cls)))


def single_type(tp: Any) -> Any:
    """The one type of a union with None or Unset; any other type as it is."""
    rest = [x for x in union_members(tp) if x not in (type(None), Unset)]
    return rest[0] if len(rest) == 1 else tp


def union_members(tp: Any) -> tuple[Any, ...]:
    """The types of a union, or the type alone."""
    return typing.get_args(tp) if typing.get_origin(tp) in (typing.Union, types.UnionType) else (tp,)


class Problems(Exception):
    """What is wrong below one place; paths are relative to it."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def under(self, place: str) -> list[FieldProblem]:
        """The problems as seen from one level up."""
        joined = ((p, place + ("." if p.path and not p.path.startswith("[") else "") + p.path) for p in self.problems)
        return [attrs.evolve(p, path=path) for p, path in joined]


def _bad(message: str) -> Problems:
    return Problems([FieldProblem("", message)])


def _from_text(kind: Any, text: str) -> object:
    if kind is int and text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 20:
        return int(text)
    if kind is bool and text.lower() in ("1", "true", "0", "false"):
        return text.lower() in ("1", "true")
    return text


def _scalar(kind: type, accepted: tuple[type, ...]) -> Hook:
    def structure(value: Any, _: Any) -> Any:
        # type(), not isinstance(): True is an int to Python, not to JSON.
        if type(value) not in accepted:
            raise _bad(f"expected {_WORDS[kind]}, got {_named(value)}")
        if kind is str and not _encodable(value):
            raise _bad("holds half a character (a lone surrogate)")
        return kind(value)

    return structure


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _structure_datetime(value: Any, _: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _bad("expected a time such as 2027-01-31T12:00:00Z") from None
    if at.tzinfo is None:
        raise _bad("expected a time with its zone, such as 2027-01-31T12:00:00Z")
    return at


def _named(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _enum_hook(kind: Any, _: Converter) -> Hook:
    members = {m.value: m for m in kind}

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not str or value not in members:
            raise _bad("expected one of: " + ", ".join(members))
        return members[value]

    return structure


def _list_hook(tp: Any, converter: Converter) -> Hook:
    item_type = typing.get_args(tp)[0]
    item_hook = converter.get_structure_hook(item_type)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise _bad(f"expected a list, got {_named(value)}")
        out, problems = [], []
        for index, item in enumerate(value):
            try:
                out.append(item_hook(item, item_type))
            except Problems as exc:
                problems += exc.under(f"[{index}]")
        if problems:
            raise Problems(problems)
        return tuple(out)

    return structure


def _union_hook(tp: Any, converter: Converter) -> Hook:
    nullable = type(None) in union_members(tp)
    inner = single_type(tp)
    hook = _scalars_hook(tp, converter) if _is_union(inner) else converter.get_structure_hook(inner)

    def structure(value: Any, _: Any) -> Any:
        return None if value is None and nullable else hook(value, inner)

    return structure


def _scalars_hook(tp: Any, converter: Converter) -> Hook:
    """Of several scalar types, each for itself."""
    hooks = {kind: converter.get_structure_hook(kind) for kind in union_members(tp) if kind in _WORDS}

    def structure(value: Any, _: Any) -> Any:
        hook = hooks.get(type(value))
        if hook is None:
            raise _bad(f"expected {' or '.join(_WORDS[k] for k in hooks)}, got {_named(value)}")
        return hook(value, type(value))

    return structure


def _class_hook(cls: Any, converter: Converter) -> Hook:
    fields: dict[str, attrs.Attribute[Any]] = {wire_name(a.name): a for a in fields_of(cls)}
    hooks = {name: converter.get_structure_hook(a.type) for name, a in fields.items()}

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise _bad(f"expected an object, got {_named(value)}")
        out: dict[str, Any] = {}
        problems: list[FieldProblem] = []
        for name, field in fields.items():
            if name in value:
                try:
                    out[field.name] = hooks[name](value[name], field.type)
                except Problems as exc:
                    problems += exc.under(name)
                else:
                    problems += _failed_checks(name, field, out[field.name])
            elif field.default is attrs.NOTHING:
                problems.append(FieldProblem(name, "is required"))
        problems += [_unknown(name, list(fields)) for name in value if name not in fields]
        if problems:
            raise Problems(problems)
        return cls(**out)

    return structure


def _failed_checks(name: str, field: attrs.Attribute[Any], value: Any) -> list[FieldProblem]:
    if value is None:
        return []
    for check in field.metadata.get("checks", ()):
        if not check.test(value):
            return [FieldProblem(name, check.message + _echo(field, value))]
    return []


def _echo(field: attrs.Attribute[Any], value: Any) -> str:
    if field.metadata.get("secret") or not isinstance(value, str | int | float):
        return ""
    shown = repr(value)
    return f", got {shown}" if len(shown) <= _LONGEST_ECHO else ""


def _unknown(name: str, known: list[str]) -> FieldProblem:
    near = difflib.get_close_matches(wire_name(name), known, n=1)
    return FieldProblem(name[:_LONGEST_ECHO], "unknown field" + (f"; did you mean '{near[0]}'?" if near else ""))


def _class_dump_hook(cls: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    names: dict[str, Any] = {a.name: override(rename=name_of(a)) for a in fields_of(cls)}
    return make_dict_unstructure_fn(cls, converter, **names)


def _is_enum(tp: Any) -> bool:
    return isinstance(tp, type) and issubclass(tp, enum.Enum)


def _is_list(tp: Any) -> bool:
    return typing.get_origin(tp) is tuple


def _is_union(tp: Any) -> bool:
    return typing.get_origin(tp) in (typing.Union, types.UnionType)


def _build_converter() -> Converter:
    converter = Converter()
    for kind, accepted in ((str, (str,)), (bool, (bool,)), (int, (int,)), (float, (int, float))):
        converter.register_structure_hook(kind, _scalar(kind, accepted))
    converter.register_structure_hook(datetime, _structure_datetime)
    converter.register_structure_hook_factory(_is_enum, _enum_hook)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(_is_union, _union_hook)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    converter.register_unstructure_hook_factory(attrs.has, _class_dump_hook)
    return converter


_converter = _build_converter()
