"""The command itself, as a process, against a real WebSocket server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest
import trio
from click.testing import CliRunner
from trio_websocket import ConnectionClosed, serve_websocket

from streamhub.cli.camera import camera_command
from tests.simulator.peer import KEY, ready

COMMAND = [sys.executable, "-c", "from streamhub.cli.camera import camera_command as c; c(prog_name='camera')"]


class Server:
    """Counts frames per room; ``refusal`` instead of ``ready`` if set."""

    def __init__(self):
        self.frames, self.closed, self.refusal = {}, [], None
        self.port, self.some, self.gone = 0, trio.Event(), trio.Event()

    async def handle(self, request):
        room = request.path.partition("room=")[2]
        socket = await request.accept()
        if self.refusal:
            code, text = self.refusal
            await socket.send_message(json.dumps({"type": "error", "code": str(code), "message": text}))
            await socket.aclose(code, text)
            return
        await socket.send_message(ready())
        try:
            while True:
                await socket.get_message()
                self.frames[room] = self.frames.get(room, 0) + 1
                self.some.set()
        except ConnectionClosed as exc:
            self.closed.append(exc.reason.code)
            self.gone.set()


@pytest.fixture
async def server(nursery):
    server = Server()
    server.port = (await nursery.start(partial(serve_websocket, server.handle, "127.0.0.1", 0, None))).port
    return server


async def camera(*arguments, key=KEY):
    """Run to the end: exit code and all output."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("STREAMHUB_")}
    if key:
        env["STREAMHUB_CAMERA_KEY"] = key
    with trio.fail_after(30):
        done = await trio.run_process(
            [*COMMAND, *map(str, arguments)],
            capture_stdout=True, capture_stderr=True, check=False, env=env, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode()


async def test_camera_when_given_frames_to_send_then_sends_them_and_sums_up(server):
    code, text = await camera(f"127.0.0.1:{server.port}", "--room", "cam1", "--fps", 15, "--frames", 8)
    assert code == 0, text
    assert server.frames == {"cam1": 8}
    assert server.closed == [1000]
    assert text.splitlines()[0] == "live/cam1: streaming"
    assert "8 frames, " in text.splitlines()[-1]
    assert KEY not in text


async def test_camera_when_refused_then_exits_with_1_and_advice(server):
    server.refusal = (4401, "invalid_key")
    code, text = await camera(f"ws://127.0.0.1:{server.port}/ingest/ws?app=live&room=cam1")
    assert code == 1
    assert "invalid_key (4401). The server knows no such key" in text
    assert KEY not in text


async def test_camera_when_the_time_is_up_without_a_frame_then_exits_with_1(server):
    server.refusal = (4429, "rate_limited")
    code, text = await camera(f"127.0.0.1:{server.port}", "--room", "cam1", "--duration", 1)
    assert code == 1
    assert text.splitlines()[-1].startswith("0 frames, ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_camera_when_stopped_by_a_signal_then_closes_sums_up_and_exits_with_0(server, number):
    env = os.environ | {"STREAMHUB_CAMERA_KEY": KEY}
    with trio.fail_after(30):
        process = await trio.lowlevel.open_process(
            [*COMMAND, f"127.0.0.1:{server.port}", "--room", "cam1"], stdout=subprocess.PIPE, env=env
        )
        async with process.stdout:
            await server.some.wait()
            # The key was given by the environment: whoever lists processes does not see it.
            assert KEY.encode() not in await trio.Path(f"/proc/{process.pid}/cmdline").read_bytes()
            process.send_signal(number)
            assert await process.wait() == 0
            text = (await process.stdout.receive_some()).decode()
        await server.gone.wait()
    assert " frames, " in text.splitlines()[-1]
    assert server.closed == [1000]


async def test_cameras_when_given_a_list_of_keys_then_all_send(server, tmp_path):
    (tmp_path / "keys.csv").write_text("room,key\n" + "".join(f"cam{n},wsk_{n}\n" for n in range(20)))
    arguments = ("--keys", tmp_path / "keys.csv", "--count", 12, "--frames", 3, "--fps", 5)
    code, text = await camera(f"127.0.0.1:{server.port}", *arguments, key=None)
    assert code == 0, text
    assert server.frames == {f"cam{n}": 3 for n in range(12)}
    assert "36 frames, " in text.splitlines()[-1]
    assert "wsk_" not in text


async def test_cameras_when_the_list_has_urls_then_need_no_address(server, tmp_path):
    url = f"ws://127.0.0.1:{server.port}/ingest/ws?app=live&room="
    (tmp_path / "keys.csv").write_text(f"app,room,key,wsUrl\nlive,cam1,wsk_1,{url}cam1\nlive,cam2,wsk_2,{url}cam2\n")
    code, text = await camera("--keys", tmp_path / "keys.csv", "--frames", 2, key=None)
    assert code == 0, text
    assert server.frames == {"cam1": 2, "cam2": 2}
    (tmp_path / "keys.csv").write_text("room,key\ncam1,wsk_1\n")
    code, text = await camera("--keys", tmp_path / "keys.csv", key=None)
    assert code == 2
    assert "no column wsUrl" in text


async def test_camera_when_the_source_is_a_folder_then_sends_its_files(server, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    (tmp_path / "key").write_text(f"{KEY}\n")
    arguments = ("--room", "cam1", "--key-file", tmp_path / "key", "--source", tmp_path, "--frames", 2)
    code, text = await camera(f"127.0.0.1:{server.port}", *arguments, key=None)
    assert code == 0, text
    assert server.frames == {"cam1": 2}


async def test_camera_when_the_folder_is_empty_then_exits_with_1(server, tmp_path):
    code, text = await camera(f"127.0.0.1:{server.port}", "--room", "cam1", "--source", tmp_path)
    assert code == 1
    assert f"no JPEG in {tmp_path}" in text


async def test_camera_when_its_output_is_closed_then_ends_without_a_traceback(server):
    read, write = os.pipe()
    os.close(read)
    env = os.environ | {"STREAMHUB_CAMERA_KEY": KEY}
    with trio.fail_after(30):
        done = await trio.run_process(
            [*COMMAND, f"127.0.0.1:{server.port}", "--room", "cam1"],
            stdout=write,
            capture_stderr=True,
            check=False,
            env=env,
        )
    os.close(write)
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "where to?"),
        (["h"], "no room is named"),
        (["h", "--room", "cam1"], "no key: set STREAMHUB_CAMERA_KEY"),
        (["h", "--room", "c", "--key", "wsk_a\nX-Evil: 1"], "characters no key has"),
        (["h", "--room", "c", "--key-file", "/nonexistent/key"], "No such file"),
        (["h", "--room", "c", "--key", "wsk_a", "--count", "3"], "--count needs --keys"),
        (["h", "--room", "c", "--keys", "x.csv"], "--keys names rooms"),
        (["h", "--room", "c", "--key", "wsk_a", "--source", "/nonexistent/film.mp4"], "no /nonexistent"),
        (["h", "--room", "c", "--key", "wsk_a", "--size", "10x10"], "is not a size"),
        (["h", "--room", "c", "--key", "wsk_a", "--size", "big"], "is not a size"),
        (["ftp://h", "--room", "c", "--key", "wsk_a"], "expected ws:// or wss://"),
    ],
)
def test_command_line_when_it_is_wrong_then_exits_with_2_and_says_why(arguments, words, monkeypatch):
    monkeypatch.delenv("STREAMHUB_CAMERA_KEY", raising=False)
    result = CliRunner().invoke(camera_command, arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "wsk_a" not in result.output


def test_help_when_asked_then_names_every_option():
    text = CliRunner().invoke(camera_command, ["--help"]).output
    for parameter in camera_command.params:
        assert parameter.opts[0] in text or parameter.name == "address"
