"""The command line. Each command's module is imported when it is called: a camera does not load the server."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from streamhub import __version__
from streamhub.errors import ConfigError, StreamHubError

# Command → where it is and its line in the overview (reading it from the module would import them all).
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("streamhub.cli.serve:serve_command", "Run the server until Ctrl-C or SIGTERM."),
    "camera": ("streamhub.cli.camera:camera_command", "Send pictures to a server, as a camera would."),
    "apps": ("streamhub.cli.apps:apps_group", "List, create, change and delete apps."),
    "keys": ("streamhub.cli.keys:keys_group", "List, create, rotate, revoke and import camera keys."),
    "tokens": ("streamhub.cli.tokens:tokens_group", "List, create and revoke API tokens."),
    "livekit": ("streamhub.cli.livekit:livekit_group", "Find or install livekit-server, which does WebRTC."),
    "settings": ("streamhub.cli.admin:settings_command", "Show every setting, its value and where it comes from."),
    "health": ("streamhub.cli.health:health_command", "Ask the running server whether it is well."),
    "migrate": ("streamhub.cli.admin:migrate_command", "Bring the database to this version."),
}


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Collect garbage seldom in the block: what imports make stays, and looking through it costs 0.1 s of a start."""
    usual = gc.get_threshold()
    gc.set_threshold(20_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class Shown(click.ClickException):
    """An error of ours on the command line: one line and a hint."""

    def __init__(self, error: StreamHubError) -> None:
        super().__init__(error.message)
        self.hint = error.hint

    def show(self, file: IO[str] | None = None) -> None:
        """Print to standard error."""
        click.echo(f"streamhub: {self.message}\n  {self.hint}", file=file, err=file is None)


class Misconfigured(Shown):
    """A setting is wrong: the same exit code as wrong usage."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of ours are shown without a traceback."""
        try:
            return super().invoke(ctx)
        except StreamHubError as exc:
            raise (Misconfigured if isinstance(exc, ConfigError) else Shown)(exc) from exc

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        with seldom_collecting():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="streamhub")
def cli() -> None:
    """StreamHub: cameras on a page.

    Commands other than 'serve' and 'camera' work on the data folder of this machine, whether a server runs or not,
    and need no token.
    """


def main() -> None:
    """Run the command line."""
    cli(prog_name="streamhub")
