"""``streamhub livekit`` with releases on a web server of the test's."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import platform
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from streamhub.cli.livekit import MACHINES, VERSION
from tests.cli.conftest import Cli
from tests.support.livekit import livekit_binary

PROGRAM = f"#!/bin/sh\necho livekit-server version {VERSION}\n".encode()
NAME = f"livekit_{VERSION}_linux_{MACHINES[platform.machine()]}.tar.gz"


@attrs.frozen
class Mirror:
    folder: Path
    url: str

    def put(self, program: bytes, name: str = "livekit-server") -> str:
        """A release with this program; its checksum."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for member, content in (("LICENSE", b"free"), (name, program)):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        (self.folder / NAME).write_bytes(packed.getvalue())
        digest = hashlib.sha256(packed.getvalue()).hexdigest()
        (self.folder / "checksums.txt").write_text(f"{'0' * 64}  other.tar.gz\n{digest}  {NAME}\n")
        return digest


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - its name there


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror" / f"v{VERSION}"
    folder.mkdir(parents=True)
    handler = functools.partial(Quiet, directory=str(folder.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Mirror(folder, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def none_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No livekit-server on this machine but the one in the data folder."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for module in ("streamhub.livekit.choose", "streamhub.cli.livekit"):
        monkeypatch.setattr(f"{module}.binary_places", lambda data_dir: [data_dir / "bin" / "livekit-server"])


def test_install_when_the_checksum_fits_then_it_is_what_serve_would_use(streamhub: Cli, mirror: Mirror) -> None:
    mirror.put(PROGRAM)
    found = streamhub.json("livekit", "install", "--base-url", mirror.url)
    target = streamhub.data_dir / "bin" / "livekit-server"
    assert found == {"binary": str(target), "version": VERSION, "installed": True}
    assert target.read_bytes() == PROGRAM
    assert [p.name for p in target.parent.iterdir()] == ["livekit-server"]
    status = streamhub.json("livekit", "status")
    assert (status["mode"], status["binary"], status["version"]) == ("managed", str(target), VERSION)
    assert streamhub.json("livekit", "install", "--base-url", "http://127.0.0.1:1")["installed"] is False


def test_install_when_the_archive_was_changed_then_nothing_is_installed(streamhub: Cli, mirror: Mirror) -> None:
    mirror.put(PROGRAM)
    listing = (mirror.folder / "checksums.txt").read_text()
    mirror.put(PROGRAM + b"# worse\n")
    (mirror.folder / "checksums.txt").write_text(listing)
    result = streamhub("livekit", "install", "--base-url", mirror.url, code=1)
    assert "is not what it should be" in result.output
    assert not (streamhub.data_dir / "bin").exists()


def test_install_when_the_checksum_comes_from_elsewhere_then_the_listing_does_not_count(
    streamhub: Cli, mirror: Mirror
) -> None:
    digest = mirror.put(PROGRAM)
    (mirror.folder / "checksums.txt").unlink()
    assert (
        "is not what it should be"
        in streamhub("livekit", "install", "--base-url", mirror.url, "--sha256", "0" * 64, code=1).output
    )
    streamhub("livekit", "install", "--base-url", mirror.url, "--sha256", digest.upper())


@pytest.mark.parametrize(
    ("program", "name", "said"),
    [
        (b"\x7fELF for another machine", "livekit-server", "does not run on this machine"),
        (b"#!/bin/sh\necho livekit-server version 1.0.0\n", "livekit-server", "does not run on this machine"),
        (PROGRAM, "something-else", "holds no livekit-server"),
    ],
)
def test_install_when_the_release_is_odd_then_nothing_is_installed(
    streamhub: Cli, mirror: Mirror, program: bytes, name: str, said: str
) -> None:
    mirror.put(program, name)
    assert said in streamhub("livekit", "install", "--base-url", mirror.url, code=1).output
    assert not list(streamhub.data_dir.glob("bin/*"))


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("http://127.0.0.1:1/", 1, "cannot download"),
        ("file:///etc", 2, "no http(s) address"),
    ],
)
def test_install_when_nothing_can_be_fetched_then_the_address_is_named(
    streamhub: Cli, url: str, code: int, said: str
) -> None:
    assert said in streamhub("livekit", "install", "--base-url", url, code=code).output


def test_status_when_there_is_none_then_exit_code_1_and_how_to_get_one(streamhub: Cli) -> None:
    assert "streamhub livekit install" in streamhub("livekit", "status", code=1).output


def test_status_when_the_real_one_is_there_then_its_version(streamhub: Cli) -> None:
    target = streamhub.data_dir / "bin" / "livekit-server"
    target.parent.mkdir(parents=True)
    target.symlink_to(livekit_binary())
    assert VERSION in streamhub("livekit", "status").output


def test_status_when_it_is_too_old_then_it_says_so(streamhub: Cli) -> None:
    target = streamhub.data_dir / "bin" / "livekit-server"
    target.parent.mkdir(parents=True)
    target.write_text("#!/bin/sh\necho livekit-server version 1.8.4\n")
    target.chmod(0o755)
    assert "too old for WHIP and relays" in streamhub("livekit", "status").output
