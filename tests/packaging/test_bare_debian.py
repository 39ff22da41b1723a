"""In a bare Debian: the Containerfile's steps and its server, and scripts/setup of a clean clone.

There is no container engine in the loop: RUN, COPY, ENV, USER, CMD and HEALTHCHECK are carried out by us, and the
base image is Debian with its own Python instead of the one that the Containerfile names.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.bare_debian import Root, client_env, make_root, why_not
from tests.packaging.containerfile import Stage, parse_containerfile

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.long, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Removed at the end: pytest would keep gigabytes."""
    path = tmp_path_factory.mktemp("debian")
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def clone(folder: Path) -> Path:
    """The files of the project, as git would hand them over."""
    target = folder / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def carry_out(stage: Stage, root: Root, stages: dict[str, Root], context: Path) -> None:
    """COPY, WORKDIR, ENV and RUN of one stage, in order."""
    cwd, user, env = Path("/"), "0:0", client_env()
    for step in stage.steps:
        if step.word == "WORKDIR":
            cwd = Path(step.text)
            (root.path / cwd.relative_to("/")).mkdir(parents=True, exist_ok=True)
        elif step.word == "USER":
            user = step.text
        elif step.word == "ENV":
            env |= dict(pair.split("=", 1) for pair in step.words)
        elif step.word == "COPY":
            *sources, target = step.words
            for source in sources:
                begin = stages[step.options["from"]].path if "from" in step.options else context
                into = root.path / (cwd / target).relative_to("/")
                if target.endswith("/"):
                    into.mkdir(parents=True, exist_ok=True)
                goal = into / Path(source).name if target.endswith("/") else into
                goal.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", "-T", begin / source.lstrip("/"), goal], check=True)
        elif step.word == "RUN":
            root.run(["sh", "-c", step.text], env=env, user=user, cwd=str(cwd))


@pytest.fixture(scope="module")
def bare(folder: Path) -> Root:
    return make_root(folder / "bare")


@pytest.fixture(scope="module")
def image(folder: Path, clone: Path, bare: Root) -> tuple[Root, Stage]:
    base = bare.copy(folder / "base")
    env = client_env() | {"DEBIAN_FRONTEND": "noninteractive"}
    base.run(["apt-get", "install", "--yes", "--no-install-recommends", "python3", "python3-venv"], env=env)
    built: dict[str, Root] = {}
    stages = parse_containerfile((ROOT / "Containerfile").read_text("utf-8"))
    for number, stage in enumerate(stages):
        root = base.copy(folder / f"stage{number}")
        carry_out(stage, root, built, clone)
        built[stage.name] = root
    return built[stages[-1].name], stages[-1]


@contextlib.contextmanager
def started(root: Root, stage: Stage, port: int) -> Iterator[subprocess.Popen[bytes]]:
    env = stage.env | {"STREAMHUB_HTTP_BIND": f"127.0.0.1:{port}", "STREAMHUB_RTMP_BIND": "off"}
    command = stage.last("ENTRYPOINT").words + stage.last("CMD").words
    line = root.command(command, env=env, user=stage.last("USER").text, cwd=stage.last("WORKDIR").text)
    with subprocess.Popen(line) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def answer(port: int, within_s: float) -> dict[str, object]:
    until = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=5) as response:
                return dict(json.load(response))
        except OSError:
            assert time.monotonic() < until, "the server did not answer"
            time.sleep(0.2)


def test_image_when_started_then_it_is_healthy_and_ends_cleanly(image: tuple[Root, Stage]) -> None:
    root, stage = image
    port = free_port()
    health = json.loads(stage.last("HEALTHCHECK").text.partition("CMD ")[2])
    env = stage.env | {"STREAMHUB_HTTP_BIND": f"127.0.0.1:{port}", "STREAMHUB_RTMP_BIND": "off"}
    user = stage.last("USER").text
    with pytest.raises(AssertionError, match="exit 1"):
        root.run(health, env=env, user=user)
    with started(root, stage, port) as process:
        assert answer(port, 30)["status"] == "ok"
        root.run(health, env=env, user=user)
        owner = (root.path / "data" / "admin-token").stat()
        assert f"{owner.st_uid}:{owner.st_gid}" == user
        assert owner.st_mode & 0o777 == 0o600
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_image_when_inspected_then_nobody_but_root_may_change_the_program(image: tuple[Root, Stage]) -> None:
    root, _ = image
    writable = [p for p in (root.path / "opt").rglob("*") if not p.is_symlink() and p.stat().st_mode & 0o022]
    assert writable == []
    assert list((root.path / "opt").rglob("site-packages/trio"))
    assert not list((root.path / "opt").rglob("site-packages/pytest"))


def test_clean_clone_when_run_on_a_bare_machine_then_it_serves(folder: Path, clone: Path, bare: Root) -> None:
    """No Python there: scripts/setup installs it, makes the environment, and the second start is quick."""
    root = bare.copy(folder / "machine")
    assert not (root.path / "usr/bin/python3").exists()
    shutil.copytree(clone, root.path / "home/check out", symlinks=True)
    env = client_env()
    (root.path / "home/check out").chmod(0o777)
    with pytest.raises(AssertionError, match=r"exit 3\n[^$]*\n    sudo apt-get install --yes python3 python3-venv\n"):
        root.run(["/home/check out/scripts/setup"], env=env, user="65534:65534")
    began = time.monotonic()
    root.run(["/home/check out/scripts/setup"], env=env, cwd="/")
    first_s = time.monotonic() - began
    assert first_s < 600  # about two minutes on an idle machine; the packages of PyPI and npm are most of it
    port = free_port()
    env |= {
        "STREAMHUB_HTTP_BIND": f"127.0.0.1:{port}",
        "STREAMHUB_RTMP_BIND": "off",
        "STREAMHUB_DATA_DIR": "/home/data",
    }
    began = time.monotonic()
    line = root.command(["/home/check out/scripts/run"], env=env)
    with subprocess.Popen(line) as process:
        try:
            assert answer(port, 20)["status"] == "ok"
            second_s = time.monotonic() - began
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            if process.poll() is None:
                process.kill()
    print(f"first set-up {first_s:.0f} s, second start {second_s:.1f} s on {os.cpu_count()} cores")
