"""scripts/setup in a small checkout of its own: one handmade wheel instead of the real lock, so no network at all."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 100
FAKE_GO = """#!/bin/sh
case $1 in
env) echo go1.99.1 ;;
install)
    echo "$*" >>"$0.log"
    mkdir -p "$GOBIN"
    printf '#!/bin/sh\\necho livekit-server version 1.13.5\\n' >"$GOBIN/server"
    chmod 755 "$GOBIN/server"
    ;;
esac
"""
# Stand-ins for Node and npm: they write down their calls and leave what the real ones leave.
FAKE_NODE = """#!/bin/sh
echo v99.1.0
"""
FAKE_NPM = """#!/bin/sh
echo "$(basename "$PWD") $*" >>"$0.log"
case $1 in
ci) mkdir -p node_modules ;;
run)
    out=../streamhub/web/static/sdk
    mkdir -p $out
    for name in $(sed -n 's/^files=(\\(.*\\))/\\1/p' ../scripts/sdk); do echo built >$out/$name; done
    ;;
esac
"""


def make_wheel(folder: Path, version: str) -> str:
    """Writes tiny-VERSION.whl and returns its line of a lock file."""
    folder.mkdir(exist_ok=True)
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    path = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return f"tiny=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Checkout:
    """A folder that looks like a checkout to scripts/setup."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "scripts").mkdir(parents=True)
        (root / "streamhub").mkdir()
        (root / "requirements").mkdir()
        for name in ("setup", "livekit", "sdk"):
            shutil.copy(ROOT / "scripts" / name, root / "scripts" / name)
        (root / "streamhub" / "__init__.py").write_text('__version__ = "9"\n')
        (root / "streamhub" / "__main__.py").write_text("import sys, tiny\nprint(tiny.VERSION, sys.argv[1:])\n")
        (root / "requirements" / "debian.txt").write_text("dpkg  # on every Debian\n")
        for folder in (root / "sdk", root / "tests" / "node"):
            folder.mkdir(parents=True)
            for name in ("package.json", "package-lock.json", ".npmrc"):
                (folder / name).write_text("{}")
        (root / "streamhub" / "web" / "static" / "rtc").mkdir(parents=True)
        (root / "streamhub" / "web" / "static" / "link.js").write_text("export {}\n")
        self.tools = root / "tools"
        self.tools.mkdir()
        for name, text in (("node", FAKE_NODE), ("npm", FAKE_NPM)):
            (self.tools / name).write_text(text)
            (self.tools / name).chmod(0o755)
        self.lock("1.0")

    def lock(self, version: str) -> None:
        line = make_wheel(self.root / "wheels", version)
        for name in ("run", "dev"):
            (self.root / "requirements" / f"{name}.txt").write_text(line)

    def start(self, mode: str = "run", **env: str) -> subprocess.Popen[str]:
        given = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "STREAMHUB_"))}
        given |= {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": (self.root / "wheels").as_uri(),
            "PIP_CONFIG_FILE": os.devnull,
            "STREAMHUB_PYTHON": sys.executable,
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "STREAMHUB_LIVEKIT_BINARY": "/bin/true",  # nothing is built; the real thing is what these tests run with
        }
        command = f'umask 077; exec "{self.root}/scripts/setup" {mode}'
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd="/",
            env=given | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def npm_calls(self) -> list[str]:
        """What npm was asked for since the last time."""
        path = self.tools / "npm.log"
        calls = path.read_text().splitlines() if path.is_file() else []
        path.unlink(missing_ok=True)
        return [call for call in calls if not call.endswith("--version")]

    def setup(self, mode: str = "run", **env: str) -> tuple[int, str]:
        process = self.start(mode, **env)
        out, _ = process.communicate(timeout=LIMIT_S)
        return process.returncode, out

    def streamhub(self, *args: str) -> str:
        command = [self.root / ".venv" / "bin" / "streamhub", *args]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True, timeout=30).stdout.strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One set-up checkout, in a path with spaces, made from another folder under umask 077 without a terminal."""
    made = Checkout(tmp_path_factory.mktemp("a place") / "check out")
    status, out = made.setup()
    assert status == 0, out
    assert "virtual environment" in out
    assert "ready" in out
    return made


def test_setup_when_done_then_streamhub_runs_from_any_folder(checkout: Checkout) -> None:
    assert checkout.streamhub("serve", "a b") == "1.0 ['serve', 'a b']"


def test_setup_when_complete_then_it_is_silent_and_quick(checkout: Checkout) -> None:
    began = time.monotonic()
    assert checkout.setup(PIP_FIND_LINKS="/nowhere") == (0, "")
    assert time.monotonic() - began < 1.0  # 0.03 s on an idle machine; pip alone takes half a second to start


def test_setup_when_the_lock_changes_then_the_new_version_is_installed(checkout: Checkout) -> None:
    checkout.lock("2.0")
    status, out = checkout.setup()
    assert status == 0, out
    assert "virtual environment" not in out
    assert checkout.streamhub() == "2.0 []"


def test_setup_for_tests_when_done_then_it_serves_to_run_too(checkout: Checkout) -> None:
    assert checkout.setup("test")[0] == 0
    assert checkout.setup("run") == (0, "")
    assert checkout.setup("test") == (0, "")


def test_setup_when_a_hash_is_wrong_then_it_fails_and_heals_once_mended(checkout: Checkout) -> None:
    checkout.lock("3.0")  # not installed yet: pip checks the hash of what it installs
    lock = checkout.root / "requirements" / "run.txt"
    good = lock.read_text()
    lock.write_text(good[:-9] + "00000000\n")
    status, out = checkout.setup()
    assert status == 1
    assert "FAILED" in out
    assert "DO NOT MATCH THE HASHES" in out
    lock.write_text(good)
    assert checkout.setup()[0] == 0
    assert checkout.streamhub() == "3.0 []"


def test_setup_when_interrupted_then_the_next_one_starts_from_nothing(checkout: Checkout) -> None:
    venv = checkout.root / ".venv"
    (venv / ".unfinished").touch()
    module = next(venv.glob("lib/python*/site-packages/tiny.py"))
    module.unlink()  # what pip leaves behind when killed: a package that looks installed
    status, out = checkout.setup()
    assert status == 0, out
    assert "virtual environment" in out
    assert module.is_file()


def test_setup_when_two_run_at_once_then_one_waits_for_the_other(checkout: Checkout) -> None:
    for stamp in (checkout.root / ".venv").glob(".complete-*"):
        stamp.unlink()
    both = [checkout.start(), checkout.start()]
    outs = [p.communicate(timeout=LIMIT_S)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0], outs
    assert sum("Python packages" in out for out in outs) == 1
    assert sum("waiting for it" in out for out in outs) == 1


def test_setup_when_not_root_and_a_package_is_missing_then_it_prints_the_one_command(
    checkout: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    declared = checkout.root / "requirements" / "debian.txt"
    before = declared.read_text()
    declared.write_text("dpkg\nstreamhub-no-such-thing # why\nalso-missing\n")
    try:
        status, out = checkout.setup("test", PATH=f"{tmp_path}:{checkout.tools}:{os.environ['PATH']}")
        assert status == 3
        packages = "streamhub-no-such-thing also-missing"
        assert f"    sudo apt-get install --yes --no-install-recommends {packages}\n" in out
        assert checkout.setup("test", STREAMHUB_SETUP_NO_SYSTEM="1")[0] == 0
    finally:
        declared.write_text(before)


def test_setup_for_tests_when_livekit_server_is_missing_then_it_fails_and_a_run_does_not_ask(
    checkout: Checkout,
) -> None:
    status, out = checkout.setup("test", STREAMHUB_LIVEKIT_BINARY="/nowhere/livekit-server")
    assert status == 1
    assert "/nowhere/livekit-server, and no program is there" in out
    assert checkout.setup("run", STREAMHUB_LIVEKIT_BINARY="/nowhere/livekit-server")[0] == 0


def test_setup_for_tests_when_livekit_server_is_built_then_it_is_built_once(checkout: Checkout, tmp_path: Path) -> None:
    """With a stand-in for Go, which writes down its calls; the real build takes minutes."""
    go = tmp_path / "go"
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    env = {"STREAMHUB_LIVEKIT_BINARY": "", "PATH": f"{tmp_path}:{checkout.tools}:{os.environ['PATH']}"}
    status, out = checkout.setup("test", **env)
    assert status == 0, out
    assert "livekit-server (built here once; takes minutes)" in out
    assert checkout.setup("test", **env) == (0, "")
    calls = (tmp_path / "go.log").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].endswith("github.com/livekit/livekit-server/cmd/server@v1.13.5")
    assert os.access(checkout.root / ".cache" / "livekit" / "livekit-server", os.X_OK)


def test_setup_when_the_browsers_part_changes_then_it_is_built_anew(checkout: Checkout) -> None:
    assert checkout.setup("run")[0] == 0
    built = checkout.root / "streamhub" / "web" / "static" / "sdk" / "livekit-client.js"
    assert built.read_text() == "built\n"
    checkout.npm_calls()
    bundled = checkout.root / "streamhub" / "web" / "static" / "link.js"
    bundled.write_text("export const a = 1\n")
    status, out = checkout.setup("run")
    assert (status, "browser's part" in out) == (0, True)
    assert checkout.npm_calls() == ["sdk run --silent build:server"]  # the packages are still the same
    built.unlink()
    assert checkout.setup("run")[0] == 0
    assert built.is_file()
    checkout.npm_calls()
    (checkout.root / "sdk" / "package-lock.json").write_text("{ }")
    assert checkout.setup("run")[0] == 0
    assert [call.split()[1] for call in checkout.npm_calls()] == ["ci", "run"]
    assert checkout.setup("run") == (0, "")
    assert checkout.npm_calls() == []


def test_setup_when_the_browsers_part_cannot_be_built_then_it_says_how_to_go_on_without(checkout: Checkout) -> None:
    npm = checkout.tools / "npm"
    whole = npm.read_text()
    (checkout.root / "sdk" / "package.json").write_text("{ }")
    try:
        npm.write_text('#!/bin/sh\n[ "$1" != ci ] || { echo "no network here" >&2; exit 1; }\n')
        status, out = checkout.setup("run")
        assert status == 1
        assert "no network here" in out
        assert "STREAMHUB_SETUP_NO_SDK=1" in out
        assert checkout.setup("run", STREAMHUB_SETUP_NO_SDK="1") == (0, "")
    finally:
        npm.write_text(whole)
    assert checkout.setup("run")[0] == 0


def test_sdk_when_the_machines_node_is_too_old_then_the_locked_one_is_asked_for(checkout: Checkout) -> None:
    """The lock is missing here: that pip says so shows who was asked."""
    (checkout.root / "sdk" / "package.json").write_text("{  }")
    node = checkout.tools / "node"
    try:
        node.write_text("#!/bin/sh\necho v18.20.0\n")
        status, out = checkout.setup("run")
        assert status == 1
        assert "requirements/node.txt" in out
    finally:
        node.write_text(FAKE_NODE)
    assert not (checkout.root / ".cache" / "sdk" / "node").exists()
    assert checkout.setup("run")[0] == 0


def test_setup_when_the_mode_is_unknown_then_it_says_how(checkout: Checkout) -> None:
    assert checkout.setup("tests") == (2, "usage: scripts/setup [run|test]\n")


@pytest.mark.parametrize("name", ["setup", "run", "test", "lock", "livekit", "sdk"])
def test_script_when_read_by_bash_then_it_has_no_syntax_error(name: str) -> None:
    path = ROOT / "scripts" / name
    assert os.access(path, os.X_OK)
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=True).stderr == ""
