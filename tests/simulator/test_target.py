from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.model.names import CAMERA_SLUG
from streamhub.simulator.target import BadTarget, Target, parse_target

SLUGS = st.from_regex(CAMERA_SLUG, fullmatch=True)


@pytest.mark.parametrize(
    ("text", "host", "port", "tls"),
    [
        ("ws://cams.example:3020/ingest/ws?app=live&room=cam1", "cams.example", 3020, False),
        ("ws://cams.example/ingest/ws?room=cam1", "cams.example", 80, False),
        ("wss://cams.example/ingest/ws?room=cam1", "cams.example", 443, True),
        ("https://cams.example/?room=cam1", "cams.example", 443, True),
        ("http://cams.example:81?room=cam1", "cams.example", 81, False),
        ("ws://[fd00::1]:3020/ingest/ws?room=cam1", "fd00::1", 3020, False),
    ],
)
def test_target_of_a_url_when_parsed_then_has_its_host_port_and_scheme(text, host, port, tls):
    target, key = parse_target(text)
    assert (target.host, target.port, target.tls, target.app, target.room) == (host, port, tls, "live", "cam1")
    assert target.resource == "/ingest/ws?app=live&room=cam1"
    assert key is None


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("cams", "cams", 3020),
        ("10.0.0.5:80", "10.0.0.5", 80),
        ("fd00::1", "fd00::1", 3020),
        ("[fd00::1]:9", "fd00::1", 9),
    ],
)
def test_target_of_a_host_when_parsed_then_takes_app_and_room_from_options(text, host, port):
    target, _ = parse_target(text, app="yard", room="gate", identity="post-3")
    assert target == Target(host=host, port=port, app="yard", room="gate", identity="post-3")
    assert target.resource == "/ingest/ws?app=yard&room=gate&identity=post-3"


def test_target_when_options_and_url_differ_then_options_win():
    target, _ = parse_target("ws://h/ingest/ws?app=a&room=b&identity=c", app="x", room="y", identity="z")
    assert (target.app, target.room, target.identity) == ("x", "y", "z")


def test_target_when_the_url_carries_a_key_then_the_key_is_taken_out():
    target, key = parse_target("ws://h/ingest/ws?room=cam1&key=wsk_secret")
    assert key == "wsk_secret"
    assert "wsk_secret" not in str(target) + target.resource + repr(target)


@pytest.mark.parametrize(
    ("target", "header"),
    [
        (Target("h", 80, "a", "r"), "h"),
        (Target("h", 443, "a", "r"), "h:443"),
        (Target("h", 443, "a", "r", tls=True), "h"),
        (Target("::1", 3020, "a", "r"), "[::1]:3020"),
    ],
)
def test_host_header_when_the_port_is_the_schemes_own_then_leaves_it_out(target, header):
    assert target.host_header == header


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ftp://h?room=r", "scheme"),
        ("ws://?room=r", "no host"),
        ("ws://user@h?room=r", "user name"),
        ("ws://h:99999?room=r", "cannot be read"),
        ("ws://[::1?room=r", "cannot be read"),
        ("host:1", "no room"),
        ("ws://h?room=a.b", "room 'a.b' is not a name"),
        ("ws://h?room=r&app=-x", "app '-x' is not a name"),
        ("ws://h?room=r&identity=%20", "identity ' ' is not a name"),
    ],
)
def test_target_when_it_cannot_be_used_then_says_why(text, word):
    with pytest.raises(BadTarget, match=word):
        parse_target(text)


@given(app=SLUGS, room=SLUGS, identity=st.none() | SLUGS, port=st.integers(1, 65535), tls=st.booleans())
def test_target_when_printed_and_parsed_again_then_is_the_same(app, room, identity, port, tls):
    target = Target("fd00::7", port, app, room, identity, tls)
    assert parse_target(str(target)) == (target, None)
