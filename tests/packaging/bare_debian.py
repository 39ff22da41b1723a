"""A Debian with nothing installed, in a folder: made by debootstrap, entered by chroot. Root only.

It stands in for a container's base image and for somebody's fresh machine. It shares this machine's network; what
leads to the package registries (mirror, certificates, pip's settings) is taken along from this machine.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

CLIENT_FILES = ("/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts")
CLIENT_VARIABLES = re.compile(r"PIP_(?!FIND_LINKS)\w+|\w+_proxy|\w+_PROXY|npm_config_\w+", re.ASCII)
# This machine's certificates, under a name that the inner Debian's ca-certificates does not write over.
CERTIFICATES, INNER_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt", "/etc/outer-certificates.crt"


def why_not() -> str | None:
    """What this machine lacks, or None."""
    if os.getuid() != 0:
        return "only root may use debootstrap and chroot"
    for tool in ("debootstrap", "chroot", "unshare"):
        if not shutil.which(tool):
            return f"no {tool}"
    return None if mirror() else "no Debian mirror is set up here"


def mirror() -> str | None:
    """The mirror that apt uses here."""
    sources = [*Path("/etc/apt/sources.list.d").glob("*"), Path("/etc/apt/sources.list")]
    for path in sources:
        if path.is_file() and (
            found := re.search(r"^(?:URIs:|deb)\s.*?(https?://\S+/debian)/?\s", path.read_text(), re.MULTILINE)
        ):
            return found[1]
    return None


@attrs.frozen
class Root:
    """A Debian in a folder."""

    path: Path

    def command(
        self, command: Sequence[str], *, env: Mapping[str, str], user: str = "0:0", cwd: str = "/"
    ) -> list[str]:
        """The command line, for this machine, that runs ``command`` inside; its mounts end with it."""
        inner = ["env", "--ignore-environment", f"--chdir={cwd}", *(f"{k}={v}" for k, v in env.items()), *command]
        enter = ["chroot", f"--userspec={user}", str(self.path), *inner]
        script = 'mount -t proc proc "$0/proc" && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(self.path), *enter]

    def run(self, command: Sequence[str], *, env: Mapping[str, str], user: str = "0:0", cwd: str = "/") -> str:
        """What it printed. Raises AssertionError with that if it failed."""
        line = self.command(command, env=env, user=user, cwd=cwd)
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=900)
        out = done.stdout + done.stderr
        assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{out[-4000:]}"
        return out

    def copy(self, target: Path) -> Root:
        """The same once more; device files included."""
        subprocess.run(["cp", "-a", "--", self.path, target], check=True, timeout=300)
        return Root(target)


def client_env() -> dict[str, str]:
    """PATH, HOME, and the variables that say how this machine reaches the package registries."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/home", "LANG": "C.UTF-8"}
    env |= {k: v for k, v in os.environ.items() if CLIENT_VARIABLES.fullmatch(k)}
    return env | {"PIP_CERT": INNER_CERTIFICATES, "NODE_EXTRA_CA_CERTS": INNER_CERTIFICATES}


def make_root(path: Path) -> Root:
    """A minimal Debian of this machine's release, its package lists fetched; takes a minute or two."""
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    found = mirror()
    assert found
    command = ["debootstrap", "--variant=minbase", suite, str(path), found]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    shutil.rmtree(path / "etc/apt")
    shutil.copytree("/etc/apt", path / "etc/apt", symlinks=True)
    for name in CLIENT_FILES:
        if Path(name).is_file():
            shutil.copy(name, path / name[1:])
    shutil.copy(CERTIFICATES, path / INNER_CERTIFICATES[1:])
    root = Root(path)
    root.run(["apt-get", "update"], env=client_env())
    return root
