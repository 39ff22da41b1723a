"""Links, shell commands and configuration in the docs: they exist, parse, and agree with each other."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl

import click
import pytest

from streamhub.cli import cli
from streamhub.model.access import CameraGrant, CameraHello, CameraLimits
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.urls import Base, RoomUrls
from streamhub.settings import load_settings
from streamhub.wire.camera import INGEST_PATH, parse_hello, parse_stats, ready_message
from tests.docs.pages import DOCS, PAGES, ROOT, Block, blocks, prose

BLOCKS = [block for page in PAGES for block in blocks(page)]
ids = {"ids": lambda value: f"{value.page}:{value.line}" if isinstance(value, Block) else str(value)}


def headings(page: Path) -> set[str]:
    """Anchors of a page, as code hosts make them."""
    found = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_link_leads_to_a_file_and_heading(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = (page.parent / path).resolve() if path else page
        if file.is_dir() or not file.exists() or (anchor and anchor not in headings(file)):
            broken.append(target)
    assert broken == []


def test_every_page_is_listed_in_the_overviews() -> None:
    own = {p.relative_to(DOCS).as_posix() for p in DOCS.glob("*.md")} - {"README.md"}
    index, readme = (DOCS / "README.md").read_text("utf-8"), (ROOT / "README.md").read_text("utf-8")
    assert {name for name in own if f"]({name})" not in index} == set()
    assert {name for name in own if f"](docs/{name})" not in readme} == set()
    for folder in ("decisions", "platforms"):
        inside = {p.name for p in (DOCS / folder).glob("*.md")} - {"README.md"}
        listed = (DOCS / folder / "README.md").read_text("utf-8")
        assert {name for name in inside if f"]({name})" not in listed} == set()


def streamhub_commands() -> list[tuple[str, str]]:
    """Every call of our command in a shell block: where, and its arguments."""
    found = []
    for block in BLOCKS:
        for line in block.commands if block.language in ("sh", "") else []:
            match = re.search(
                r"(?:^|[\s/])streamhub ((?:serve|camera|apps|keys|tokens|settings|health|migrate)\b.*)", line
            )
            if match and not line.startswith(("podman build", "podman run")):
                found.append((f"{block.page}:{block.line}", match[1]))
    for page in PAGES:
        for code in re.findall(r"`streamhub ([a-z][^`]*)`", prose(page)):
            found.append((str(page.relative_to(ROOT)), code))
    return found


@pytest.mark.parametrize(("where", "arguments"), streamhub_commands())
def test_command_of_ours_in_the_docs_is_one_that_exists(
    where: str, arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options exist and its values are of the right form; it is not run."""
    if where.endswith("what-is-not-there-yet.md"):
        return
    words = shlex.split(arguments)
    monkeypatch.chdir(tmp_path)
    for word in words:
        if re.fullmatch(r"[a-z-]+\.(txt|csv|json|key|mp4)", word):
            (tmp_path / word).touch()  # the reader's own file
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        if not words:
            return  # a group by itself, such as "streamhub keys"
        inner = command.get_command(context, words[0])
        assert inner is not None, f"{where}: streamhub {arguments}"
        command, words = inner, words[1:]
    if words or not any(p.required for p in command.params):
        try:
            command.make_context(command.name, words)
        except click.BadOptionUsage as exc:
            if ":" in where or "requires an argument" not in exc.message:
                raise  # prose may name an option without its value, a block may not


def test_commands_were_found() -> None:
    assert len(streamhub_commands()) > 30


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh"], **ids)
def test_shell_block_has_no_syntax_error(block: Block) -> None:
    assert subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False).stderr == ""


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], **ids)
def test_json_block_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], **ids)
def test_settings_file_in_the_docs_is_accepted(block: Block, tmp_path: Path) -> None:
    assert tomllib.loads(block.text)
    (tmp_path / "streamhub.toml").write_text(block.text)
    load_settings({}, tmp_path / "streamhub.toml")


def test_setting_named_in_the_docs_exists() -> None:
    named = {m for page in PAGES for m in re.findall(r"\bSTREAMHUB_[A-Z_]+\b", page.read_text("utf-8"))}
    # Not settings of the server: the simulator's key, two of scripts/setup, two of the backends in docs/platforms.
    others = {
        "STREAMHUB_CAMERA_KEY",
        "STREAMHUB_PYTHON",
        "STREAMHUB_SETUP_NO_SYSTEM",
        "STREAMHUB_URL",
        "STREAMHUB_TOKEN",
    }
    settings = {f"STREAMHUB_{a.upper()}" for a in load_settings({}).sources}
    assert named - others - settings == set()
    assert len(named & settings) > 10


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name)
def test_file_named_in_the_traces_exists(page: Path) -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)?[a-z_]+\.py)`", page.read_text("utf-8")))
    assert len(named) > 15
    missing = [
        n for n in named if not any((ROOT / base / n).is_file() for base in ("", "streamhub", "streamhub/playback"))
    ]
    assert missing == []


def test_sketch_in_the_docs_connects_as_the_server_expects() -> None:
    (sketch,) = [b.text for b in blocks(DOCS / "esp32-cam.md") if "void loop()" in b.text]
    path = re.search(r'PATH = "([^"]+)"', sketch)
    assert path
    target, _, query = path[1].partition("?")
    assert target == INGEST_PATH
    assert 'setAuthorization("Bearer " CAMERA_KEY)' in sketch
    hello = parse_hello(dict(parse_qsl(query)), "Bearer wsk_x", "192.0.2.1")
    assert isinstance(hello, CameraHello)
    limits = re.search(r"fpsAllowed = (\d+);\nsize_t bytesAllowed = (\d+);", sketch)
    assert limits
    assert (int(limits[1]), int(limits[2])) == (CameraLimits().max_fps, CameraLimits().max_frame_bytes)
    for field in ("maxFps", "maxFrameBytes"):
        assert f'\\"{field}\\"' in sketch
        assert f'"{field}"' in ready_message(
            CameraGrant(RoomKey(AppName("a"), RoomName("a")), "k", "i", CameraLimits())
        )
    stats = re.search(r'"(\{\\"type\\":\\"stats.*?)",\n', sketch)
    assert stats
    text = stats[1].replace('\\"', '"') % (9.5, -60, 100_000, 12)
    assert parse_stats(text.encode()) == {"fps": 9.5, "rssi": -60, "heapFree": 100000, "frames": 12}


def test_iframe_in_the_readme_is_the_one_the_player_gives() -> None:
    key = RoomKey(AppName("live"), RoomName("live-door"))
    (block,) = [b for b in blocks(ROOT / "README.md") if b.language == "html"]
    assert block.text.strip() == RoomUrls(Base("http", "127.0.0.1:3020"), key).iframe
