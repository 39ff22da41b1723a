from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from streamhub.model.names import APP_NAME, CAMERA_SLUG, ROOM_PREFIX, namespaced, prefixes_clash

# Few letters, so that equal and extending names come up often.
PREFIX = st.builds("{}{}".format, st.sampled_from("ab"), st.text("ab-", max_size=5))
ROOM = st.just("") | st.builds("{}{}".format, st.sampled_from("ab"), st.text("ab-_", max_size=9))
CLASHING = st.builds(lambda one, tail: (one, f"{one}-{tail}" if tail else one), PREFIX, st.text("ab-", max_size=5))


@given(PREFIX, ROOM)
def test_namespaced_when_applied_twice_then_nothing_changes(prefix: str, room: str) -> None:
    once = namespaced(prefix, room)
    assert namespaced(prefix, once) == once
    assert once == prefix or once.startswith(f"{prefix}-")
    assert once.endswith(room)


@given(PREFIX, PREFIX)
def test_prefixes_clash_when_swapped_then_the_same(one: str, other: str) -> None:
    assert prefixes_clash(one, other) is prefixes_clash(other, one)
    assert prefixes_clash(one, one)


@given(PREFIX, PREFIX, ROOM, ROOM)
def test_rooms_when_prefixes_do_not_clash_then_no_room_belongs_to_both(one: str, other: str, a: str, b: str) -> None:
    assume(not prefixes_clash(one, other))
    assert namespaced(one, a) != namespaced(other, b)


@given(CLASHING, st.booleans())
def test_rooms_when_prefixes_clash_then_there_is_a_room_of_both(pair: tuple[str, str], swapped: bool) -> None:
    one, other = reversed(pair) if swapped else pair
    assert prefixes_clash(one, other)
    longer = max(one, other, key=len)
    assert namespaced(one, longer) == namespaced(other, longer)


@given(PREFIX, ROOM)
def test_names_when_drawn_here_then_they_are_names(prefix: str, room: str) -> None:
    assert ROOM_PREFIX.fullmatch(prefix)
    assert not room or CAMERA_SLUG.fullmatch(room)


@given(st.from_regex(APP_NAME, fullmatch=True))
def test_app_name_when_it_is_one_then_it_can_be_an_app_and_a_prefix_on_the_camera_socket(name: str) -> None:
    assert CAMERA_SLUG.fullmatch(name)
    assert ROOM_PREFIX.fullmatch(name)
