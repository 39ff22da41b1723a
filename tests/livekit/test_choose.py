"""Which livekit-server is taken for which settings."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from streamhub.errors import ConfigError, Unavailable
from streamhub.livekit.choose import Choice, choose_livekit, media_address
from streamhub.livekit.external import ExternalServer
from streamhub.livekit.managed import ManagedServer
from streamhub.livekit.server import State
from tests.livekit.conftest import KEYS
from tests.support.livekit import livekit_binary


@pytest.fixture
def choice(tmp_path: Path) -> Choice:
    return Choice(
        url=None, binary=livekit_binary(), udp_port=0, tcp_port=0, node_ip="127.0.0.1", data_dir=tmp_path / "data"
    )


def test_choice_when_a_program_is_named_then_it_is_managed_and_starting(choice: Choice) -> None:
    livekit, keeper = choose_livekit(KEYS, choice)
    assert isinstance(keeper, ManagedServer)
    assert (livekit.managed, livekit.state) == (True, State.STARTING)
    with pytest.raises(Unavailable) as caught:
        livekit.require()
    assert caught.value.code == "livekit_down"


@pytest.mark.parametrize("url", ["wss://lk.example", "https://lk.example"])
def test_choice_when_a_url_is_given_then_it_wins(choice: Choice, url: str) -> None:
    livekit, keeper = choose_livekit(KEYS, attrs.evolve(choice, url=url))
    assert isinstance(keeper, ExternalServer)
    assert keeper.url == "https://lk.example"
    assert (livekit.managed, livekit.state) == (False, State.STARTING)


def test_choice_when_switched_off_then_absent(choice: Choice) -> None:
    livekit, keeper = choose_livekit(KEYS, attrs.evolve(choice, binary="off"))
    assert keeper is None
    assert livekit.state is State.ABSENT


def test_choice_when_the_program_is_missing_then_start_is_refused(choice: Choice) -> None:
    with pytest.raises(ConfigError, match="livekit_binary"):
        choose_livekit(KEYS, attrs.evolve(choice, binary="nowhere/livekit-server"))


@pytest.mark.parametrize(
    ("setting", "hosts", "lan", "address"),
    [
        ("auto", ["127.0.0.1"], None, "127.0.0.1"),
        ("auto", [""], None, "127.0.0.1"),
        ("auto", ["0.0.0.0"], "192.168.1.7", "192.168.1.7"),
        ("auto", ["::"], None, "127.0.0.1"),
        ("auto", ["10.0.0.5"], None, "10.0.0.5"),
        ("auto", ["", "10.0.0.5"], None, "10.0.0.5"),
        ("203.0.113.7", ["127.0.0.1"], None, "203.0.113.7"),
    ],
)
def test_media_address(setting: str, hosts: list[str], lan: str | None, address: str) -> None:
    assert media_address(setting, hosts, lan) == address
