from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.model.source_url import SourceUrl, parse_source_url


@pytest.mark.parametrize(
    ("text", "user", "password", "host", "port", "tail"),
    [
        ("rtsp://cam/1", None, None, "cam", None, "/1"),
        ("RTSP://Cam.Example:8554", None, None, "cam.example", 8554, "/"),
        ("rtsp://admin@192.168.1.20/1", "admin", None, "192.168.1.20", None, "/1"),
        ("rtsp://admin:@192.168.1.20/1", "admin", "", "192.168.1.20", None, "/1"),
        ("rtsp://admin:p@ss:w#rd?@192.168.1.20:554/1", "admin", "p@ss:w#rd?", "192.168.1.20", 554, "/1"),
        ("rtsp://admin:p%40ss%3Aw%23rd@cam/1", "admin", "p@ss:w#rd", "cam", None, "/1"),
        ("rtsp://admin:100%@cam/1", "admin", "100%", "cam", None, "/1"),
        ("rtsp://admin:%ff%2F@cam/1", "admin", "%ff%2F", "cam", None, "/1"),
        ("rtsp://a%40b.example:pässwort@cam/1", "a@b.example", "pässwort", "cam", None, "/1"),
        ("rtsp://u:p@[fd00::9]:554/1", "u", "p", "fd00::9", 554, "/1"),
        ("rtsp://[fe80::1%25eth0]/1", None, None, "fe80::1%eth0", None, "/1"),
        (
            "rtsp://u:p@cam/cam/realmonitor?channel=1&subtype=0#x",
            *("u", "p", "cam", None, "/cam/realmonitor?channel=1&subtype=0"),
        ),
        ("https://host/@user/live.m3u8", None, None, "host", None, "/@user/live.m3u8"),
        ("http://host?action=stream", None, None, "host", None, "/?action=stream"),
        ("http://u:p@host?action=stream", "u", "p", "host", None, "/?action=stream"),
        ("http://host:8080/a b/é.ts?q=ü", None, None, "host", 8080, "/a%20b/%C3%A9.ts?q=%C3%BC"),
        ("http://kamera.müller.example/", None, None, "kamera.xn--mller-kva.example", None, "/"),
        ("http://127.1/", None, None, "127.1", None, "/"),
        (" rtsp://cam/1\n", None, None, "cam", None, "/1"),
    ],
)
def test_parse_then_its_parts(
    text: str, user: str | None, password: str | None, host: str, port: int | None, tail: str
) -> None:
    found = parse_source_url(text)
    assert (found.user, found.password, found.host, found.port, found.tail) == (user, password, host, port, tail)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected rtsp://, rtsps://, http://, https://"),
        ("cam/1", "expected rtsp://"),
        ("file:///etc/passwd", "expected rtsp://"),
        ("concat:http://a|http://b", "expected rtsp://"),
        ("rtsp:///1", "expected a host"),
        ("rtsp://:554/1", "expected a host"),
        ("rtsp://cam:0/1", "expected a host"),
        ("rtsp://cam:99999/1", "expected a host"),
        ("rtsp://cam:port/1", "expected a host"),
        ("rtsp://a b/1", "expected a host"),
        ("rtsp://-cam/1", "host name"),
        ("rtsp://[::zz]/1", "expected a host"),
        ("rtsp://[1:2:3]/1", ""),
        ("rtsp://u:hunter22/x@cam/1", "%2F"),
        ("rtsp://u:2222/x@cam/1", "%2F"),
        ("rtsp://***@cam/1", "leave the url out"),
        ("rtsp://u:***@cam/1", "leave the url out"),
        ("rtsp://cam/\x00", "control"),
        ("rtsp://cam\r\nx/1", "control"),
    ],
)
def test_parse_when_it_is_no_url_of_a_source_then_what_is_wrong_without_the_secret(text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_source_url(text)
    assert words in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_parse_when_only_some_schemes_are_wanted_then_others_are_refused() -> None:
    with pytest.raises(ValueError, match="expected rtsp://, rtsps://"):
        parse_source_url("http://cam/1", ("rtsp", "rtsps"))


def test_full_then_encoded_and_shown_then_hidden() -> None:
    url = parse_source_url("rtsp://admin:p@s/@cam:554/1".replace("s/", "s%2F"))
    assert url.full == "rtsp://admin:p%40s%2F@cam:554/1"
    assert url.shown == "rtsp://***@cam:554/1"
    assert url.at("192.168.1.20") == "rtsp://admin:p%40s%2F@192.168.1.20:554/1"
    assert url.at("fd00::9") == "rtsp://admin:p%40s%2F@[fd00::9]:554/1"
    assert (url.effective_port, parse_source_url("rtsps://cam").effective_port) == (554, 322)
    assert "p@s" not in repr(url)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://cam/cam/realmonitor?channel=1&subtype=0", "rtsp://cam/cam/realmonitor?channel=1&subtype=0"),
        ("http://cam/video.cgi?user=admin&pwd=hunter22&n=1", "http://cam/video.cgi?user=***&pwd=***&n=1"),
        ("http://cam/a?hunter22", "http://cam/a?***"),
        ("rtsps://192.168.1.1:7441/fD6ouM72bWoFijxK?enableSrtp", "rtsps://192.168.1.1:7441/***?***"),
        ("rtsp://cam/h264Preview_01_main", "rtsp://cam/h264Preview_01_main"),
        ("rtsp://cam/Streaming/Channels/101", "rtsp://cam/Streaming/Channels/101"),
        ("https://cam/live.m3u8?sig=abc&expires=1790000000", "https://cam/live.m3u8?sig=***&expires=***"),
        (
            "rtsp://cam/user=admin_password=hunter22_channel=1_stream=0.sdp",
            "rtsp://cam/user=admin_password=***_channel=1_stream=0.sdp",
        ),
        (
            "rtsp://cam/user=admin&password=hunter22&channel=1&stream=0.sdp",
            "rtsp://cam/user=admin&password=***&channel=1&stream=0.sdp",
        ),
    ],
)
def test_shown_when_secrets_are_in_path_or_query_then_hidden(text: str, shown: str) -> None:
    assert parse_source_url(text).shown == shown


TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs", "Cf", "Cn", "Co")), max_size=20)


@given(TEXT, TEXT)
def test_full_then_parsed_to_the_same(user: str, password: str) -> None:
    url = SourceUrl(scheme="rtsp", host="cam", user=f"u{user}", password=f"p{password}", tail="/1")
    assert parse_source_url(url.full) == url
    assert parse_source_url(url.full).shown == "rtsp://***@cam/1"


@given(st.text("ab@:#?%.", max_size=20))
def test_parse_when_the_password_is_raw_then_it_is_taken_up_to_the_last_at(password: str) -> None:
    url = parse_source_url(f"rtsp://admin:p{password}@192.168.1.20/1")
    assert (url.user, url.host) == ("admin", "192.168.1.20")
    assert parse_source_url(url.full) == url


@given(st.text(max_size=60))
def test_parse_then_a_value_or_valueerror(text: str) -> None:
    try:
        url = parse_source_url(f"rtsp://{text}")
    except ValueError:
        return
    assert parse_source_url(url.full) == url
    assert url.full.isascii()
