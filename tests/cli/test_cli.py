from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from streamhub.cli import COMMANDS, cli
from tests.cli.conftest import Cli


def every_command() -> list[tuple[str, ...]]:
    """All commands and subcommands, as one types them."""
    context = click.Context(cli)
    found: list[tuple[str, ...]] = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, sub) for sub in command.list_commands(context)]
    return found


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_help_then_it_says_something(streamhub: Cli, command: tuple[str, ...]) -> None:
    said = streamhub(*command, "--help").stdout
    assert said.startswith("Usage: streamhub")
    assert len(said.splitlines()) >= 5


@pytest.mark.parametrize("name", COMMANDS)
def test_overview_then_each_line_is_that_commands_own(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert COMMANDS[name][1].endswith(".")


def test_overview_then_no_command_is_imported(tmp_path: Path) -> None:
    program = "import sys; from streamhub.cli import main; sys.argv=['streamhub', '--help']\n"
    program += "try: main()\nexcept SystemExit: pass\n"
    program += "print([m for m in ('trio', 'quart', 'sqlite_utils', 'streamhub.main') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "keys" in done.stdout


@pytest.mark.parametrize("module", ["camera", "keys", "tokens", "apps", "admin"])
def test_command_when_imported_then_the_web_framework_is_not(module: str) -> None:
    program = f"import sys, streamhub.cli.{module}; print('quart' in sys.modules, 'hypercorn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False False"


def test_error_when_in_a_process_of_its_own_then_one_line_a_hint_and_the_code(tmp_path: Path) -> None:
    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "streamhub", *args],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            check=False,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "", **env},
        )

    nothing = run("apps", "list")
    assert nothing.returncode == 1
    assert nothing.stderr.splitlines() == [
        f"streamhub: there is no StreamHub data in {tmp_path / 'data'}",
        "  Name the folder with --data-dir or STREAMHUB_DATA_DIR, or start the server once: streamhub serve.",
    ]
    setting = run("apps", "list", STREAMHUB_HTTP_BINDS="x")
    assert setting.returncode == 2
    assert "STREAMHUB_HTTP_BIND?" in setting.stderr
    usage = run("apps", "lits")
    assert usage.returncode == 2
    assert "Traceback" not in nothing.stderr + setting.stderr + usage.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_then_values_their_sources_and_secrets_masked(
    streamhub: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path("streamhub.toml").write_text('log_level = "debug"\n')
    monkeypatch.setenv("STREAMHUB_METRICS_TOKEN", "scrape-me-scrape-me")
    said = streamhub("settings").stdout
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line[:1].islower()}
    assert rows["log_level"] == ["debug", "streamhub.toml"]
    assert rows["metrics_token"] == ["***", "STREAMHUB_METRICS_TOKEN"]
    assert rows["data_dir"][1] == "STREAMHUB_DATA_DIR"
    assert {r["name"]: r["value"] for r in streamhub.json("settings")}["metrics_token"] == "***"
    assert "scrape-me" not in said


def test_migrate_then_the_database_is_there_and_again_nothing_happens(streamhub: Cli) -> None:
    first = streamhub.json("migrate")
    assert (first["created"], first["migrations"]) == (
        True,
        ["m0001_initial", "m0002_ingress", "m0003_livekit_ingress", "m0004_relays"],
    )
    assert streamhub.json("migrate")["created"] is False
    assert "up to date" in streamhub("migrate").stdout
    assert streamhub.data_dir.stat().st_mode & 0o777 == 0o700


def test_data_dir_when_on_the_command_line_then_it_wins(filled: Cli, tmp_path: Path) -> None:
    other = str(tmp_path / "elsewhere")
    filled("tokens", "create", "--name", "x", "--data-dir", other)
    assert len(filled.json("tokens", "list", "--data-dir", other)) == 1
    assert (tmp_path / "elsewhere" / "streamhub.db").is_file()
