from __future__ import annotations

import pytest

from streamhub.wire.rtmp.address import find_key, is_our_path

URL = "rtmp://host:1935/live"


@pytest.mark.parametrize(
    ("app", "tc_url", "name", "key"),
    [
        ("live", URL, "stk_1", "stk_1"),
        ("live/", URL, "/stk_1/", "stk_1"),
        ("live", URL, "stk_1?bitrate=high", "stk_1"),
        ("live", URL, "drone7?key=stk_1", "stk_1"),
        ("live", URL, "?streamKey=stk_1", "stk_1"),
        ("live?key=stk_1", URL, "", "stk_1"),
        ("live?key=stk_1", URL, "drone7", "stk_1"),
        ("live", URL + "?streamKey=stk_1", "drone7", "stk_1"),
        ("live/stk_1", URL, "", "stk_1"),
        ("live/stk_0", URL, "stk_1", "stk_1"),
        ("live", URL, "?key=a%2Bb", "a+b"),
        ("live", URL, "?key=stk_1&key=stk_2", "stk_1"),
        ("live", URL, "?key=", None),
        ("live", URL, "", None),
        ("live", URL, "?" + "&" * 100 + "key=stk_1", None),
    ],
)
def test_key_when_looked_for_then_it_is_found(app: str, tc_url: str, name: str, key: str | None) -> None:
    assert is_our_path(app)
    assert find_key(app, tc_url, name) == key


@pytest.mark.parametrize("app", ["", "stk_1", "live2", "app/live", "live/a/b", "Live"])
def test_path_when_it_is_another_then_it_is_told(app: str) -> None:
    assert not is_our_path(app)
