from __future__ import annotations

import re

import pytest

from streamhub.model.names import (
    APP_NAME,
    CAMERA_SLUG,
    ROOM_NAME,
    ROOM_PREFIX,
    AppName,
    RoomKey,
    RoomName,
    namespaced,
    prefixes_clash,
)


@pytest.mark.parametrize(
    ("prefix", "room", "expected"),
    [
        ("live", "cam1", "live-cam1"),
        ("live", "live-cam1", "live-cam1"),
        ("live", "", "live"),
        ("live", "live", "live"),
        ("live", "livecam", "live-livecam"),
        ("live", "live-", "live-"),
        ("live", "LIVE-cam1", "live-LIVE-cam1"),
        ("a-b", "a", "a-b-a"),
        ("a-b", "a-b-c", "a-b-c"),
    ],
)
def test_namespaced_when_given_either_spelling_then_the_full_name(prefix: str, room: str, expected: str) -> None:
    assert namespaced(prefix, room) == expected


def test_namespaced_when_no_room_is_given_then_the_prefix() -> None:
    assert namespaced("live") == "live"


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("live", "live", True),
        ("live", "live-2", True),
        ("live", "live2", False),
        ("live", "li", False),
        ("a-b", "a-c", False),
        ("a", "a-b-c", True),
    ],
)
def test_prefixes_clash_when_one_extends_the_other_then_in_either_order(one: str, other: str, clash: bool) -> None:
    assert prefixes_clash(one, other) is clash
    assert prefixes_clash(other, one) is clash


def test_room_key_when_shown_then_app_and_full_name() -> None:
    assert str(RoomKey(AppName("live"), RoomName("live-cam1"))) == "live/live-cam1"


@pytest.mark.parametrize("name", ["live", "a-1", "abc", "a" * 32])
def test_app_name_when_fine_then_it_matches(name: str) -> None:
    assert APP_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "ab", "-ab", "ab-", "Live", "a_b", "a.b", "a" * 33, "live\n", "lïve"])
def test_app_name_when_not_fine_then_it_does_not_match(name: str) -> None:
    assert not APP_NAME.fullmatch(name)


@pytest.mark.parametrize(
    ("pattern", "most", "also"),
    [(ROOM_PREFIX, 40, ""), (ROOM_NAME, 120, "._-Z"), (CAMERA_SLUG, 64, "_-Z")],
)
def test_patterns_when_a_name_grows_then_they_hold_their_length_and_letters(
    pattern: re.Pattern[str], most: int, also: str
) -> None:
    assert pattern.fullmatch("a" * most)
    assert not pattern.fullmatch("a" * (most + 1))
    for letter in "._-Z":
        assert bool(pattern.fullmatch(f"a{letter}")) is (letter in also or letter == "-")
    for letter in "/ \\\0\n%é٣":
        assert not pattern.fullmatch(f"a{letter}")
