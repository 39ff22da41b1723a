"""docs/platforms/native: the C++ programs, compiled as they say, one pushing and the other playing on a real server."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import trio

from tests.docs.pages import DOCS
from tests.docs.test_native import Program
from tests.support.server import run_server
from tests.support.waiting import eventually

FOLDER = DOCS / "platforms" / "native"
PICTURE = re.compile(r"^picture (\d+) 640x360 at [\d.]+ s: ([0-9a-f]{8})$", re.MULTILINE)


def compile_as_told(name: str, folder: Path) -> Path:
    """Type the command in the head of the program; the program's path."""
    source = FOLDER / f"{name}.cpp"
    (command,) = re.findall(r"^//   (g\+\+ .*)$", source.read_text("utf-8"), re.MULTILINE)
    (told,) = re.findall(rf"^(g\+\+ .*{name}\.cpp.*)$", (FOLDER.parent / "native.md").read_text("utf-8"), re.MULTILINE)
    assert told == command
    shutil.copy(source, folder)
    strict = command.replace("-O2", "-O1 -Wall -Wextra -Werror")
    subprocess.run(["sh", "-ec", strict], cwd=folder, check=True)
    return folder / name


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("cpp")
    return compile_as_told("push_rtmp", folder), compile_as_told("play_hls", folder)


async def test_cpp_programs_when_run_then_one_plays_what_the_other_pushes(
    programs: tuple[Path, Path], tmp_path: Path
) -> None:
    push, play = programs
    async with run_server(tmp_path) as server, trio.open_nursery() as nursery:
        body = {"inputType": "rtmp", "room": "drone"}
        made = (await server.request("POST", "/api/v1/apps/live/ingress", body)).data
        hls = f"{server.base_url}/hls/live/drone/index.m3u8"
        refused = await run(push, f"{made['url']}/wrong")
        assert refused.returncode == 1
        assert b"this stream key is not known here" in refused.stderr
        assert b"the stream key good?" in refused.stderr
        nobody = await run(play, hls)
        assert (nobody.returncode, b"is the source live" in nobody.stderr) == (1, True)
        process = await trio.lowlevel.open_process([str(push), made["rtmp_url"]], stdout=subprocess.PIPE)
        try:
            pushing = Program(process)
            nursery.start_soon(pushing.read)
            await pushing.says("publishing")

            async def offered() -> bool:
                row = await server.request("GET", f"/api/v1/apps/live/ingress/{made['ingressId']}")
                return bool(row.data["status"] == "publishing")

            await eventually(offered, 30)
            played = await run(play, hls, "75")
            assert played.returncode == 0, played.stderr
            text = played.stdout.decode()
            pictures = PICTURE.findall(text)
            assert [int(number) for number, _ in pictures] == list(range(1, 76))
            assert len({sum_ for _, sum_ in pictures}) > 70, "the picture moves"
            assert "sound 48000 Hz, 1 channels" in text
            process.send_signal(signal.SIGINT)
            with trio.fail_after(20):
                assert await process.wait() == 0
            await pushing.says("stopped")
        finally:
            process.kill()
        nursery.cancel_scope.cancel()


async def run(program: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(60):
        return await trio.run_process([str(program), *words], capture_stdout=True, capture_stderr=True, check=False)


@pytest.mark.parametrize("name", ["push_rtmp", "play_hls"])
async def test_cpp_program_when_used_wrongly_then_its_usage(programs: tuple[Path, Path], name: str) -> None:
    (program,) = [path for path in programs if path.name == name]
    done = await run(program)
    assert (done.returncode, b"usage: " in done.stderr) == (2, True)
