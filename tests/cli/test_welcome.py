"""What is printed at the start is true: no address that nobody serves."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from streamhub.cli.welcome import welcome
from streamhub.livekit.server import LiveKit
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.main import Options, Running
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.urls import Base
from streamhub.net.listeners import Address

SOCKET = Address(path="/run/streamhub/http.sock")


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(
        addresses=(Address("127.0.0.1", 3020),),
        base=Base("http", "127.0.0.1:3020"),
        data_dir=tmp_path,
        lan=None,
        demo=RoomKey(AppName("live"), RoomName("live-demo")),
        livekit=LiveKit(LiveKitKeys("APItest", "s" * 32), managed=True),
        rtmp=(Address("127.0.0.1", 1935),),
        admin_token=None,
    )


def test_welcome_when_on_loopback_then_its_urls_and_how_to_let_others_in(running: Running) -> None:
    text = welcome(running, Options(demo=True), terminal=False)
    assert "http://127.0.0.1:3020/play/live/live-demo" in text
    assert "streamhub serve --lan --demo" in text


@pytest.mark.parametrize("lan", [True, False])
def test_welcome_when_there_is_only_a_unix_socket_then_no_url_that_nobody_serves(running: Running, lan: bool) -> None:
    running = attrs.evolve(running, addresses=(SOCKET,), base=None)
    text = welcome(running, Options(lan=lan, demo=True), terminal=False)
    assert "http://" not in text
    assert "ws://" not in text
    assert "STREAMHUB_PUBLIC_URL" in text
    assert "docs/reverse-proxy.md" in text
    assert "streamhub serve --lan" not in text
    assert ("--lan adds no address" in text) == lan


def test_welcome_when_a_socket_has_a_public_address_then_that_one(running: Running) -> None:
    running = attrs.evolve(running, addresses=(SOCKET,), base=Base("https", "cams.example"))
    assert "https://cams.example/play/live/live-demo" in welcome(running, Options(demo=True), terminal=False)


@pytest.mark.parametrize(
    ("rtmp", "lan", "shown"),
    [
        ((Address("127.0.0.1", 1936),), None, "rtmp://127.0.0.1:1936/live "),
        ((Address("0.0.0.0", 1935),), "192.0.2.7", "rtmp://192.0.2.7:1935/live "),
        ((), None, "off"),
    ],
)
def test_welcome_then_it_says_where_rtmp_is(
    running: Running, rtmp: tuple[Address, ...], lan: str | None, shown: str
) -> None:
    text = welcome(attrs.evolve(running, rtmp=rtmp, lan=lan), Options(), terminal=False)
    assert f"RTMP          {shown}" in text
