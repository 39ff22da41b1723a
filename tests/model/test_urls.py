from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.urls import Base, RoomUrls

KEY = RoomKey(AppName("live"), RoomName("live-cam1"))


def test_urls_when_plain_then_http_and_ws() -> None:
    urls = RoomUrls(Base("http", "192.168.1.5:3020"), KEY)
    assert urls.mjpeg == "http://192.168.1.5:3020/live/live/live-cam1/mjpeg"
    assert urls.frame == "http://192.168.1.5:3020/live/live/live-cam1/frame.jpg"
    assert urls.play == "http://192.168.1.5:3020/play/live/live-cam1"
    assert urls.embed == "http://192.168.1.5:3020/embed/live/live-cam1"
    assert urls.viewer_ws == "ws://192.168.1.5:3020/live/ws?app=live&room=live-cam1"
    assert urls.ingest_ws == "ws://192.168.1.5:3020/ingest/ws?app=live&room=live-cam1"


def test_urls_when_secure_then_https_and_wss() -> None:
    urls = RoomUrls(Base("https", "[2001:db8::1]"), KEY)
    assert urls.play == "https://[2001:db8::1]/play/live/live-cam1"
    assert urls.viewer_ws.startswith("wss://[2001:db8::1]/live/ws?")


def test_iframe_when_pasted_then_it_shows_the_embed_page() -> None:
    urls = RoomUrls(Base("https", "cams.example"), KEY)
    assert urls.iframe == (
        '<iframe src="https://cams.example/embed/live/live-cam1" width="640" height="360" frameborder="0" '
        'allow="autoplay; fullscreen; camera; microphone" allowfullscreen></iframe>'
    )


@pytest.mark.parametrize("room", ["a b", "a?b#c", "a&app=x", 'a"><script>', "ü", "a%2Fb"])
def test_urls_when_a_name_is_odd_then_it_stays_inside_its_place(room: str) -> None:
    urls = RoomUrls(Base("http", "h"), RoomKey(AppName("live"), RoomName(room)))
    path = urlsplit(urls.mjpeg).path
    assert path.startswith("/live/live/")
    assert path.endswith("/mjpeg")
    assert not set(urls.mjpeg) & set(' "<>')
    assert parse_qs(urlsplit(urls.viewer_ws).query) == {"app": ["live"], "room": [room]}
