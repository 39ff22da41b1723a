from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from streamhub.wire.camera import parse_stats

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def strict(text: str) -> object:
    def refuse(word: str) -> object:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "surrogatepass")))
@example(b'\xff\xfe{\x00"\x00t\x00')
@example(b"\xef\xbb\xbf{}")
def test_parse_stats_when_given_anything_then_it_never_raises(text: bytes) -> None:
    assert parse_stats(text) is None or isinstance(parse_stats(text), dict)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_parse_stats_when_it_is_stats_then_what_is_stored_is_json_again(fields: dict[str, object]) -> None:
    text = json.dumps({**fields, "type": "stats"}).encode()
    stats = parse_stats(text)
    if len(text) > 4096:
        assert stats is None
        return
    assert stats is not None
    assert set(stats) == set(fields) - {"type"}
    assert strict(json.dumps(stats)) == stats


@given(st.integers(900, 1100))
def test_parse_stats_when_nested_to_the_limit_then_what_could_be_read_can_be_written(depth: int) -> None:
    stats = parse_stats(b'{"type":"stats","x":' + b"[" * depth + b"]" * depth + b"}")
    assert stats is None or json.dumps(stats)
