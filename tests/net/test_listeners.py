from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
import trio

from streamhub.errors import ConfigError
from streamhub.net.listeners import Address, open_tcp, open_unix, remove_socket_file


async def test_open_tcp_when_the_port_is_free_then_clients_can_connect() -> None:
    listener, address = open_tcp("127.0.0.1", 0, setting="HTTP_BIND")
    async with listener:
        assert (address.host, str(address)) == ("127.0.0.1", f"127.0.0.1:{address.port}")
        async with await trio.open_tcp_stream("127.0.0.1", address.port), await listener.accept() as accepted:
            assert accepted.socket.getsockname()[1] == address.port


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_open_tcp_when_the_host_is_ipv6_then_only_that_is_bound() -> None:
    listener, address = open_tcp("::1", 0, setting="HTTP_BIND")
    async with listener:
        assert str(address) == f"[::1]:{address.port}"
        other, _ = open_tcp("127.0.0.1", address.port, setting="HTTP_BIND")
        await other.aclose()


async def test_open_tcp_when_the_port_is_taken_then_the_error_says_what_to_do() -> None:
    listener, address = open_tcp("127.0.0.1", 0, setting="HTTP_BIND")
    async with listener:
        with pytest.raises(ConfigError) as caught:
            open_tcp("127.0.0.1", address.port, setting="HTTP_BIND")
        assert str(caught.value) == f"cannot listen on 127.0.0.1:{address.port}: the address is in use"
        assert "another StreamHub?" in caught.value.hint
        assert "HTTP_BIND" in caught.value.hint


def test_open_tcp_when_the_address_is_another_machines_then_the_error_says_so() -> None:
    with pytest.raises(ConfigError) as caught:
        open_tcp("203.0.113.5", 0, setting="HTTP_BIND")
    assert "cannot listen on 203.0.113.5:0" in str(caught.value)
    assert caught.value.hint == "Set HTTP_BIND to an address of this machine."


def test_open_tcp_when_the_host_is_no_name_then_the_error_names_the_setting() -> None:
    with pytest.raises(ConfigError) as caught:
        open_tcp("no.such.host.invalid", 3020, setting="HTTP_BIND")
    assert caught.value.hint == "Correct HTTP_BIND."


def test_open_tcp_when_the_port_is_not_allowed_then_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Denied(socket.socket):
        def bind(self, _address: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("streamhub.net.listeners.socket.socket", Denied)
    with pytest.raises(ConfigError) as caught:
        open_tcp("127.0.0.1", 80, setting="HTTP_BIND")
    assert str(caught.value) == "cannot listen on 127.0.0.1:80: permission denied"
    assert "Ports below 1024 need root" in caught.value.hint


async def test_open_unix_when_a_dead_socket_is_there_then_it_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sock")
    first, address = open_unix(path, setting="HTTP_BIND")
    assert str(address) == f"unix:{path}"
    first.socket.close()  # as after a crash: the file stays
    assert os.path.exists(path)  # noqa: PTH110
    second, _ = open_unix(path, setting="HTTP_BIND")
    async with second, await trio.open_unix_socket(path):
        pass
    remove_socket_file(path)
    remove_socket_file(path)
    assert not Path(path).exists()


async def test_open_unix_when_a_living_socket_is_there_then_it_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sock")
    first, _ = open_unix(path, setting="HTTP_BIND")
    async with first:
        with pytest.raises(ConfigError, match="the address is in use"):
            open_unix(path, setting="HTTP_BIND")
        async with await trio.open_unix_socket(path):
            pass


def test_open_unix_when_a_file_is_there_then_it_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(ConfigError):
        open_unix(str(path), setting="HTTP_BIND")
    assert path.read_text() == "mine"


def test_open_unix_when_the_folder_is_missing_then_the_error_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_unix(str(tmp_path / "none" / "hub.sock"), setting="HTTP_BIND")
    assert "HTTP_BIND" in caught.value.hint


def test_address_when_printed_then_it_is_as_in_the_setting() -> None:
    assert [str(a) for a in (Address("10.0.0.1", 80), Address("::1", 80), Address(path="/run/h.sock"))] == [
        "10.0.0.1:80",
        "[::1]:80",
        "unix:/run/h.sock",
    ]
