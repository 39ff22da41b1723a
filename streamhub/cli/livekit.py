"""``streamhub livekit``: which livekit-server would be used, and getting one."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import platform
import subprocess
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import click

from streamhub.cli.local import Folder, folder_options
from streamhub.cli.output import show_facts
from streamhub.errors import ConfigError, NotFound, Unavailable
from streamhub.livekit.choose import binary_places
from streamhub.livekit.managed import PROGRAM, find_binary
from streamhub.livekit.server import WHIP_VERSION, parse_version
from streamhub.services.bootstrap import make_data_dir

# The version everything here is tested with.
VERSION = "1.13.5"
RELEASES = "https://github.com/livekit/livekit/releases/download"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armv7"}
SILENCE_S = 60.0
RUN_S = 20.0
MOST_BYTES = 300_000_000


@click.group("livekit")
def livekit_group() -> None:
    """Find or install livekit-server, which does WebRTC."""


@livekit_group.command("status")
@folder_options
def status_command(folder: Folder) -> None:
    """Show which livekit-server 'streamhub serve' would use; exit code 1 if there is none."""
    settings = folder.settings
    facts: dict[str, str | None]
    if settings.livekit_url is not None:
        facts = {"mode": "external", "url": settings.livekit_url, "binary": None, "version": None}
    else:
        binary = find_binary(settings.livekit_binary, binary_places(settings.data_dir))
        mode = "none" if binary is None else "managed"
        facts = {"mode": mode, "url": None, "binary": binary, "version": binary and version_of(Path(binary))}
    if folder.as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        show_facts([(name.capitalize(), value) for name, value in facts.items() if value is not None])
        version = parse_version(facts["version"] or "")
        if version is not None and version < WHIP_VERSION:
            click.echo("It is too old for WHIP and relays: 1.9.1 is the least.")
    if facts["mode"] == "none":
        raise NotFound("there is no livekit-server", hint="Get one: streamhub livekit install")


@livekit_group.command("install")
@folder_options
@click.option("--base-url", default=RELEASES, show_default=True, help="Where the releases lie: GitHub, or a mirror.")
@click.option("--sha256", help="The archive's SHA-256, if you have it from elsewhere than the release itself.")
def install_command(folder: Folder, base_url: str, sha256: str | None) -> None:
    """Download the release of livekit-server this version is tested with into the data folder, checked by SHA-256."""
    target = folder.settings.data_dir / "bin" / PROGRAM
    if target.is_file() and version_of(target) == VERSION:
        _tell(folder, target, changed=False)
        return
    machine = MACHINES.get(platform.machine())
    if machine is None:
        raise ConfigError(
            f"there is no release of livekit-server for {platform.machine()}",
            hint=f"Build it: go install github.com/livekit/livekit-server/cmd/server@v{VERSION}",
        )
    name = f"livekit_{VERSION}_linux_{machine}.tar.gz"
    base = f"{base_url.rstrip('/')}/v{VERSION}"
    expected = sha256 or checksum_of(fetch(f"{base}/checksums.txt").decode("utf-8", "replace"), name)
    archive = fetch(f"{base}/{name}")
    found = hashlib.sha256(archive).hexdigest()
    if found != expected.lower():
        raise Unavailable(
            f"{name} is not what it should be: its SHA-256 is {found}, not {expected}",
            hint="Nothing was installed. Try again; if it stays so, do not use that file.",
        )
    make_data_dir(folder.settings.data_dir)
    put_program(program_in(archive), target)
    _tell(folder, target, changed=True)


def _tell(folder: Folder, target: Path, *, changed: bool) -> None:
    if folder.as_json:
        click.echo(json.dumps({"binary": str(target), "version": VERSION, "installed": changed}, indent=2))
    else:
        click.echo(f"{target}: livekit-server {VERSION}{'' if changed else ' was there already'}.")
        if changed:
            click.echo("Start StreamHub again to use it.")


def fetch(url: str) -> bytes:
    """The whole of what lies there. Raises Unavailable."""
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"{url} is no http(s) address", hint="Correct --base-url.")
    try:
        with urllib.request.urlopen(url, timeout=SILENCE_S) as answer:  # noqa: S310 - the scheme is checked above
            data: bytes = answer.read(MOST_BYTES + 1)
    except (OSError, urllib.error.URLError, http.client.HTTPException) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise Unavailable(
            f"cannot download {url}: {reason}", hint="Check the network, or name a mirror with --base-url."
        ) from None
    if len(data) > MOST_BYTES:
        raise Unavailable(f"{url} is larger than {MOST_BYTES // 1_000_000} MB", hint="Check --base-url.")
    return data


def checksum_of(listing: str, name: str) -> str:
    """The checksum of one file in a listing as sha256sum writes it. Raises NotFound."""
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name:
            return words[0]
    raise NotFound(f"the release has no {name}", hint="Check --base-url.")


def program_in(archive: bytes) -> bytes:
    """The program in a release's archive, and nothing else of it. Raises NotFound."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                if member.isfile() and Path(member.name).name == PROGRAM and member.size <= MOST_BYTES:
                    file = tar.extractfile(member)
                    assert file is not None
                    return file.read()
    except (tarfile.TarError, OSError, EOFError):
        pass
    raise NotFound(f"the archive holds no {PROGRAM}", hint="Check --base-url.")


def put_program(content: bytes, target: Path) -> None:
    """The program is at ``target`` if it runs and is the wanted version; else nothing has changed."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = target.with_suffix(".new")
    try:
        new.write_bytes(content)
        new.chmod(0o755)
        if version_of(new) != VERSION:
            raise Unavailable(
                "the downloaded livekit-server does not run on this machine", hint="Nothing was installed."
            )
        new.replace(target)  # a running server keeps the old one
    finally:
        new.unlink(missing_ok=True)


def version_of(program: Path) -> str | None:
    """The version a livekit-server says it is; None if it does not run."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=RUN_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.decode("utf-8", "replace").split()
    return words[-1] if words and done.returncode == 0 else None
