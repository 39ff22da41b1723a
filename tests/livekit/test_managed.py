"""A real livekit-server under the guard: starts, dies, comes back, and never outlives us."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from streamhub.errors import ConfigError, Unavailable
from streamhub.livekit import guard
from streamhub.livekit.choose import report_end
from streamhub.livekit.config import LOOPBACK, Wishes, choose_ports, format_config
from streamhub.livekit.managed import ManagedServer, find_binary
from streamhub.livekit.server import LiveKit, State
from streamhub.rooms.backoff import run_supervised
from tests.livekit.conftest import KEYS, running_livekit
from tests.support.children import gone
from tests.support.livekit import livekit_binary
from tests.support.waiting import eventually

WISHES = Wishes(keys=KEYS, udp=0, tcp=0, node_ip=LOOPBACK)


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def guard_pid(managed: ManagedServer) -> int:
    assert managed._process is not None
    return managed._process.pid


async def test_managed_server_when_started_then_its_api_answers_and_its_version_is_known(
    livekit_server: LiveKit,
) -> None:
    assert livekit_server.version == "1.13.5"
    assert livekit_server.takes_whip
    assert livekit_server.require() == livekit_server.require_whip() == livekit_server.url
    assert await livekit_server.client.rooms() == []


async def test_configuration_holds_the_secret_and_is_closed_to_others(managed: ManagedServer, tmp_path: Path) -> None:
    path = tmp_path / "livekit.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEYS.api_secret in path.read_text()
    for pid in (guard_pid(managed), *children(guard_pid(managed))):
        command = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert KEYS.api_secret.encode() not in command


async def test_managed_server_when_local_then_media_and_signalling_listen_on_loopback(managed: ManagedServer) -> None:
    assert managed.ports is not None
    lan = socket.inet_aton(LOOPBACK)[::-1].hex().upper()
    listening = Path("/proc/net/udp").read_text() + Path("/proc/net/tcp").read_text()
    assert f"{lan}:{managed.ports.udp:04X}" in listening
    assert f"00000000:{managed.ports.udp:04X}" not in listening
    assert f"00000000:{managed.ports.signal:04X}" not in listening


async def test_managed_server_when_killed_then_it_is_back_and_the_time_between_is_told(managed: ManagedServer) -> None:
    livekit = managed.livekit
    (child,) = children(guard_pid(managed))
    os.kill(child, signal.SIGKILL)
    await eventually(lambda: livekit.state is not State.READY)
    with pytest.raises(Unavailable) as caught:
        livekit.require()
    assert caught.value.retry_after_s
    await eventually(lambda: livekit.state is State.READY)
    assert await livekit.client.rooms() == []


async def test_managed_server_when_the_guard_is_killed_then_it_ends_and_comes_back(managed: ManagedServer) -> None:
    (child,) = children(guard_pid(managed))
    os.kill(guard_pid(managed), signal.SIGKILL)
    await eventually(lambda: gone(child))
    await eventually(lambda: managed.livekit.state is not State.READY)
    await eventually(lambda: managed.livekit.state is State.READY)


async def test_managed_server_when_it_hangs_then_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamhub.livekit.managed.WATCH_S", 0.05)
    async with running_livekit(tmp_path) as managed:
        (child,) = children(guard_pid(managed))
        os.kill(child, signal.SIGSTOP)
        await eventually(lambda: managed.livekit.state is not State.READY, within_s=20)
        assert managed.livekit.problem == "livekit-server stopped answering"
        await eventually(lambda: gone(child))
        await eventually(lambda: managed.livekit.state is State.READY)


async def test_stop_when_running_then_it_has_ended_and_stays_so(managed: ManagedServer) -> None:
    pid = guard_pid(managed)
    (child,) = children(pid)
    with trio.fail_after(2):
        await managed.stop()
    assert gone(pid)
    assert gone(child)
    with pytest.raises(Unavailable, match="stopping"):
        managed.livekit.require()


async def test_managed_server_when_cancelled_then_nothing_is_left(tmp_path: Path) -> None:
    managed = ManagedServer(LiveKit(KEYS, managed=True), livekit_binary(), WISHES, tmp_path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(managed.run)
        await eventually(lambda: managed.livekit.state is State.READY)
        pid = guard_pid(managed)
        (child,) = children(pid)
        nursery.cancel_scope.cancel()
    assert gone(pid)
    assert gone(child)


@pytest.mark.parametrize(
    ("kind", "name", "setting"),
    [
        (socket.SOCK_DGRAM, "udp", "STREAMHUB_RTC_UDP_PORT"),
        (socket.SOCK_STREAM, "tcp", "STREAMHUB_RTC_TCP_PORT"),
    ],
)
async def test_managed_server_when_a_media_port_is_taken_then_the_port_and_its_setting_are_named(
    tmp_path: Path, kind: socket.SocketKind, name: str, setting: str
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((LOOPBACK, 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        wishes = attrs.evolve(WISHES, **{name: port})
        managed = ManagedServer(LiveKit(KEYS, managed=True), livekit_binary(), wishes, tmp_path)
        with pytest.raises(Unavailable, match=f"port {port} is in use") as caught:
            await managed.run()
    assert setting in caught.value.hint


async def test_managed_server_when_it_refuses_its_configuration_then_its_words_are_told(tmp_path: Path) -> None:
    wishes = attrs.evolve(WISHES, node_ip="no-address")
    managed = ManagedServer(LiveKit(KEYS, managed=True), livekit_binary(), wishes, tmp_path)
    with pytest.raises(Unavailable, match=r"livekit-server ended: .*no-address"):
        await managed.run()


async def test_managed_server_when_the_program_is_none_then_the_setting_is_named(tmp_path: Path) -> None:
    program = tmp_path / "livekit-server"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    managed = ManagedServer(LiveKit(KEYS, managed=True), str(program), WISHES, tmp_path)
    with pytest.raises(Unavailable, match="does not run") as caught:
        await managed.run()
    assert "STREAMHUB_LIVEKIT_BINARY" in caught.value.hint


def test_ports_when_chosen_again_then_free_ones_stay_the_same() -> None:
    first = choose_ports(WISHES, None)
    assert choose_ports(WISHES, first) == first
    assert len({first.signal, first.tcp}) == 2


def test_configuration_names_no_public_server_and_opens_only_what_is_asked() -> None:
    ports = choose_ports(WISHES, None)
    config = json.loads(
        format_config(attrs.evolve(WISHES, node_ip="192.0.2.7", webhook_url="http://127.0.0.1:9/x"), ports)
    )
    assert config["rtc"]["stun_servers"] == [f"192.0.2.7:{ports.udp}"]
    assert config["rtc"]["use_external_ip"] is False
    assert config["rtc"]["enable_loopback_candidate"] is False
    assert config["bind_addresses"] == [LOOPBACK]
    assert config["webhook"] == {"api_key": KEYS.api_key, "urls": ["http://127.0.0.1:9/x"]}


def test_binary_when_the_setting_names_none_then_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no program is there"):
        find_binary(str(tmp_path / "missing"), [])
    assert find_binary("off", [Path(livekit_binary())]) is None


def test_binary_when_not_on_path_then_the_first_place_that_has_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    real = Path(livekit_binary())
    assert find_binary(None, [tmp_path / "none", real]) == str(real)
    assert find_binary(None, [tmp_path / "none"]) is None


async def open_guard(*program: str, grace_s: float = 1.0) -> trio.Process:
    command = [sys.executable, "-I", "-S", guard.__file__, str(grace_s), "--", *program]
    return await trio.lowlevel.open_process(command, stdin=-1, stdout=-1, stderr=-2)


async def test_guard_when_the_program_ends_then_its_exit_code_is_told() -> None:
    process = await open_guard("sh", "-c", "exit 7")
    with trio.fail_after(10):
        assert await process.wait() == 7


async def test_guard_when_the_pipe_ends_and_the_program_does_not_care_then_it_is_killed() -> None:
    process = await open_guard("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done", grace_s=0.2)
    assert process.stdout is not None
    assert process.stdin is not None
    with trio.fail_after(10):
        assert await process.stdout.receive_some() == b"ready\n"
        await process.stdin.aclose()
        assert await process.wait() == 128 + signal.SIGKILL


async def test_guard_when_told_to_terminate_then_the_program_ends_too() -> None:
    process = await open_guard("sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    with trio.fail_after(10):
        assert await process.stdout.receive_some() == b"ready\n"
        process.terminate()
        assert await process.wait() == 128 + signal.SIGTERM


async def test_supervision_when_the_port_becomes_free_then_the_server_comes_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        wishes = attrs.evolve(WISHES, udp=taken.getsockname()[1])
        managed = ManagedServer(LiveKit(KEYS, managed=True), livekit_binary(), wishes, tmp_path)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_supervised, managed.run, partial(report_end, managed.livekit))
            await eventually(lambda: managed.livekit.state is State.DOWN)
            assert "STREAMHUB_RTC_UDP_PORT" in managed.livekit.hint
            taken.close()
            await eventually(lambda: managed.livekit.state is State.READY)
            nursery.cancel_scope.cancel()
