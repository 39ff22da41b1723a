"""``streamhub serve``: the server in the foreground."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import trio

from streamhub.cli.welcome import welcome
from streamhub.errors import StreamHubError
from streamhub.main import Options, Running, serve
from streamhub.observe.log import configure, get_logger
from streamhub.settings import Settings, load_settings


@click.command("serve")
@click.option(
    "--lan", is_flag=True, help="Listen on every address, so that cameras and viewers on your network reach it."
)
@click.option("--demo", is_flag=True, help="Add a simulated camera in the room live/demo.")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="A streamhub.toml (default: ./streamhub.toml)."
)
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="The data folder (STREAMHUB_DATA_DIR)."
)
def serve_command(lan: bool, demo: bool, config: Path | None, data_dir: Path | None) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    env = {**os.environ, "STREAMHUB_DATA_DIR": str(data_dir)} if data_dir else os.environ
    sys.exit(run(env, config, Options(lan=lan, demo=demo), click.echo))


def run(env: Mapping[str, str], config: Path | None, options: Options, say: Callable[[str], None]) -> int:
    """Run the server; the exit code: 0 after a stop, 2 if it could not start."""
    try:
        settings = load_settings(env, config)
    except StreamHubError as exc:
        _complain(exc)
        return 2
    configure(settings.log_level, settings.log_format)
    try:
        trio.run(_run, settings, options, say)
    except BaseException as exc:
        known = _known(exc)
        if known is None:
            raise
        _complain(known)
        return 2
    return 0


async def _run(settings: Settings, options: Options, say: Callable[[str], None]) -> None:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        # Listening for signals first: a SIGTERM during start-up stops the server too.
        await nursery.start(_signals, stop)
        running: list[Running] = []

        async def server(*, task_status: trio.TaskStatus[Running]) -> None:
            await serve(settings, options, stop, task_status=task_status)
            nursery.cancel_scope.cancel()

        running.append(await nursery.start(server))
        say(welcome(running[0], options, terminal=sys.stdout.isatty()))
        sys.stdout.flush()


async def _signals(stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    """The first SIGTERM or SIGINT drains; a second one ends the process at once."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        async for number in received:
            if stop.is_set():
                get_logger("main").warning("stopped at once", signal=signal.Signals(number).name)
                os._exit(128 + number)
            stop.set()


def _known(exc: BaseException) -> StreamHubError | None:
    """The one error of ours in ``exc``, if that is all it is."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc if isinstance(exc, StreamHubError) else None


def _complain(exc: StreamHubError) -> None:
    click.echo(f"streamhub: {exc.message}\n  {exc.hint}", err=True)
