"""``streamhub health`` against a real server and against none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from streamhub.cli.health import ask
from streamhub.settings import load_settings


async def _answer(stream: trio.SocketStream, status: str, body: bytes) -> None:
    async with stream:
        await stream.receive_some()
        await stream.send_all(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


async def ask_server(status: str, body: bytes) -> tuple[bool, str]:
    """What the command finds at a server that answers this."""
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, lambda s: _answer(s, status, body), [listener])
        port = listener.socket.getsockname()[1]
        settings = load_settings({"STREAMHUB_HTTP_BIND": f"0.0.0.0:{port}"})
        with trio.fail_after(10):
            found = await trio.to_thread.run_sync(ask, settings)
        nursery.cancel_scope.cancel()
    return found


@pytest.mark.parametrize(
    ("status", "body", "well"),
    [
        ("200 OK", b'{"status":"ok"}', True),
        ("200 OK", b'{"status":"degraded"}', False),
        ("200 OK", b"<html>another server", False),
        ("200 OK", b"[]", False),
        ("503 Service Unavailable", b'{"status":"ok"}', False),
    ],
)
async def test_health_when_the_server_answers_then_only_ok_is_well(status: str, body: bytes, well: bool) -> None:
    assert await ask_server(status, body) == (well, body.decode())


def test_health_when_nothing_listens_then_it_names_the_address(tmp_path: Path) -> None:
    path = tmp_path / "no.sock"
    well, text = ask(load_settings({"STREAMHUB_HTTP_BIND": f"unix:{path}"}))
    assert not well
    assert str(path) in text


def test_health_when_the_port_is_unknown_then_it_says_so() -> None:
    well, text = ask(load_settings({"STREAMHUB_HTTP_BIND": "127.0.0.1:0"}))
    assert not well
    assert "port 0" in text


async def test_health_over_a_unix_socket_then_it_is_asked_there(tmp_path: Path) -> None:
    path = os.path.relpath(tmp_path / "s")  # short enough for sun_path
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listener.bind(path)
    listener.listen(1)
    async with trio.open_nursery() as nursery:
        serving = trio.SocketListener(listener)
        nursery.start_soon(trio.serve_listeners, lambda s: _answer(s, "200 OK", b'{"status":"ok"}'), [serving])
        with trio.fail_after(10):
            well, _ = await trio.to_thread.run_sync(ask, load_settings({"STREAMHUB_HTTP_BIND": f"unix:{path}"}))
        assert well
        nursery.cancel_scope.cancel()
