"""The wheel: built without network, complete, and enough to run the server from another environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from streamhub import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", out, ROOT], cwd=out, check=True, timeout=100)
    (path,) = out.iterdir()
    return path


def test_wheel_when_the_browsers_part_is_not_built_then_there_is_none(tmp_path: Path) -> None:
    source = tmp_path / "checkout"
    unwanted = shutil.ignore_patterns("__pycache__", "sdk")
    for name in ("streamhub", "migrations"):
        shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--wheel-dir", tmp_path / "out", source], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode != 0
    assert "run scripts/sdk first" in done.stdout + done.stderr
    assert not list(tmp_path.glob("out/*.whl"))


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of an environment that has the wheel, and this one's other packages, but not the checkout."""
    venv = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", wheel], check=True, timeout=60)
    site = next(venv.glob("lib/python*/site-packages"))
    # A path line of a .pth adds that folder and does not read its .pth files: the checkout stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin"


def test_wheel_holds_every_file_of_the_package_and_the_migrations(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "streamhub").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    expected |= {f"streamhub/migrations/{path.name}" for path in (ROOT / "migrations").iterdir() if path.is_file()}
    assert inside == expected
    assert any(name.startswith("streamhub/migrations/m0001") for name in inside)
    assert {"streamhub/web/static/play.js", "streamhub/web/static/sdk/livekit-client.js"} < inside


def test_wheel_when_read_then_it_names_version_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"streamhub-{__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        assert "License-Expression: Apache-2.0" in metadata
        assert "Requires-Python: >=3.11" in metadata
        assert "Apache License" in archive.read(f"{info}/licenses/LICENSE").decode()
        assert "streamhub = streamhub.cli:main" in archive.read(f"{info}/entry_points.txt").decode()


def test_wheel_when_installed_elsewhere_then_the_code_comes_from_there(elsewhere: Path) -> None:
    code = "import streamhub; print(streamhub.__file__)"
    out = subprocess.run(
        [elsewhere / "python", "-P", "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert Path(out.stdout.strip()).is_relative_to(elsewhere.parent)


def test_wheel_when_installed_elsewhere_then_it_makes_a_data_folder(elsewhere: Path, tmp_path: Path) -> None:
    """Needs the migrations of the wheel, since the checkout is out of reach."""
    env = {"PATH": "/usr/bin:/bin", "STREAMHUB_DATA_DIR": str(tmp_path / "data")}
    for command in (["migrate"], ["apps", "create", "farm"], ["apps", "list"]):
        out = subprocess.run(
            [elsewhere / "streamhub", *command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert out.returncode == 0, out.stderr
    assert "farm" in out.stdout
