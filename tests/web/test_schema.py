# ruff: noqa: RUF009 - declared() makes the attrs field itself, not its default.

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.errors import Invalid
from streamhub.services.fields import UNSET, Unset, between, declared, items, length
from streamhub.web.schema import dump, parse, parse_query, wire_name


class Kind(enum.Enum):
    RTMP = "rtmp"
    WS = "ws"


@attrs.frozen
class Source:
    kind: Kind
    max_fps: int = declared("", between(1, 60), default=15)


@attrs.frozen
class Body:
    name: str = declared("", length(1, 5))
    sources: tuple[Source, ...] = declared("", items(0, 2), default=())
    ratio: float = declared("", default=1.0)
    on: bool = declared("", default=True)
    note: str | None = declared("", length(1, 5), default=None)
    change: str | Unset | None = declared("", length(1, 5), default=UNSET)
    at: datetime | None = declared("", default=None)
    inner: Source | Unset = declared("", default=UNSET)
    password: str | None = declared("", length(8, 100), default=None, secret=True)


def problems(data: Any, cls: type = Body) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse(cls, data)
    return {p.path: p.message for p in caught.value.fields}


def test_parse_when_complete_then_the_value() -> None:
    body = parse(
        Body,
        {
            "name": "n",
            "sources": [{"kind": "ws"}, {"kind": "rtmp", "maxFps": 5}],
            "ratio": 2,
            "on": False,
            "note": None,
            "change": None,
            "at": "2027-01-31T12:00:00Z",
            "inner": {"kind": "ws"},
        },
    )
    assert body == Body(
        name="n",
        sources=(Source(Kind.WS), Source(Kind.RTMP, 5)),
        ratio=2.0,
        on=False,
        change=None,
        at=datetime(2027, 1, 31, 12, tzinfo=UTC),
        inner=Source(Kind.WS),
    )
    assert parse(Body, {"name": "n"}).change is UNSET


def test_parse_when_everything_is_bad_then_every_field_is_named_with_its_path() -> None:
    found = problems(
        {
            "sources": [{"kind": "hls"}, {"maxFps": 61, "fps": 1}, 3],
            "ratio": "2",
            "on": 1,
            "note": "",
            "at": "2027-01-31T12:00:00",
            "nmae": "x",
        }
    )
    assert found == {
        "name": "is required",
        "sources[0].kind": "expected one of: rtmp, ws",
        "sources[1].kind": "is required",
        "sources[1].maxFps": "expected 1 to 60, got 61",
        "sources[1].fps": "unknown field",
        "sources[2]": "expected an object, got a number",
        "ratio": "expected a number, got a text",
        "on": "expected true or false, got a number",
        "note": "expected 1 to 5 characters, got ''",
        "at": "expected a time with its zone, such as 2027-01-31T12:00:00Z",
        "nmae": "unknown field; did you mean 'name'?",
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": ["n"]}, "name"),
        ({"name": "sixsix"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "n", "on": "true"}, "on"),
        ({"name": "n", "ratio": True}, "ratio"),
        ({"name": "n", "sources": {}}, "sources"),
        ({"name": "n", "sources": [{"kind": "ws"}] * 3}, "sources"),
        ({"name": "n", "sources": [{"kind": "ws", "maxFps": 5.0}]}, "sources[0].maxFps"),
        ({"name": "n", "inner": None}, "inner"),
        ({"name": "n", "inner": {"kind": ["ws"]}}, "inner.kind"),
        ({"name": "n", "at": 12}, "at"),
        ([], "body"),
        ("n", "body"),
        (None, "body"),
    ],
)
def test_parse_when_one_type_is_wrong_then_nothing_is_coerced(value: object, expected: str) -> None:
    assert list(problems(value)) == [expected]


def test_parse_when_a_secret_is_bad_then_it_is_not_repeated() -> None:
    found = problems({"name": "n", "password": "geheim"})
    assert found == {"password": "expected 8 to 100 characters"}


def test_parse_when_snake_case_is_sent_then_camel_case_is_suggested() -> None:
    assert problems({"kind": "ws", "max_fps": 5}, Source) == {"max_fps": "unknown field; did you mean 'maxFps'?"}


def test_parse_query_then_numbers_and_switches_are_read_from_texts() -> None:
    @attrs.frozen
    class Query:
        limit: int = 5
        verbose: bool = False
        q: str = ""

    assert parse_query(Query, {"limit": "7", "verbose": "1", "q": "7"}) == Query(7, True, "7")
    for bad in ({"limit": "7.0"}, {"limit": ""}, {"limit": "١"}, {"limit": "9" * 5000}, {"verbose": "yes"}):
        with pytest.raises(Invalid):
            parse_query(Query, bad)


def test_dump_then_camel_case_and_values() -> None:
    assert dump(Source(Kind.WS)) == {"kind": "ws", "maxFps": 15}
    assert dump({"a": (Source(Kind.RTMP),)}) == {"a": [{"kind": "rtmp", "maxFps": 15}]}


@pytest.mark.parametrize(("name", "wire"), [("a", "a"), ("idle_timeout_sec", "idleTimeoutSec"), ("key_2", "key2")])
def test_wire_name(name: str, wire: str) -> None:
    assert wire_name(name) == wire


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from([*map(wire_name, ("name", "sources")), "x"]), inner)
    ),
)


@given(JSON)
def test_parse_when_given_any_json_then_a_value_or_invalid(data: object) -> None:
    try:
        parsed = parse(Body, data)
    except Invalid as exc:
        named = exc.fields
    else:
        assert isinstance(parsed, Body)
        return
    assert named
