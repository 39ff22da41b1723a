from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result

from streamhub.cli import cli


@attrs.define
class Cli:
    """Runs a command on a data folder of its own, in this process, and checks its exit code."""

    data_dir: Path
    public_url: str = "https://hub.example"

    def __call__(self, *args: str, code: int = 0, given: str | None = None) -> Result:
        env = {"STREAMHUB_DATA_DIR": str(self.data_dir), "STREAMHUB_PUBLIC_URL": self.public_url}
        result = CliRunner().invoke(cli, args, input=given, env=env, prog_name="streamhub")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    def json(self, *args: str, given: str | None = None) -> Any:
        return json.loads(self(*args, "--json", given=given).stdout)


@pytest.fixture
def streamhub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Cli(tmp_path / "data")


@pytest.fixture
def filled(streamhub: Cli) -> Cli:
    """A data folder that exists."""
    streamhub("migrate")
    streamhub("tokens", "create", "--name", "admin")
    return streamhub
