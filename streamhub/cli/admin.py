"""``streamhub settings`` and ``streamhub migrate``."""

from __future__ import annotations

import json
from pathlib import Path

import click
import trio

from streamhub.cli.local import Folder, folder_options
from streamhub.cli.output import show_table
from streamhub.services.bootstrap import DATABASE, make_data_dir
from streamhub.settings import describe
from streamhub.store.db import open_store
from streamhub.store.migrate import load_migrations


@click.command("settings")
@folder_options
def settings_command(folder: Folder) -> None:
    """Show every setting, its value and where it comes from; secrets are masked."""
    rows = describe(folder.settings)
    if folder.as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    show_table(("SETTING", "VALUE", "FROM"), [(r["name"], r["value"], r["source"]) for r in rows], empty="")
    click.echo("\nSet them in the environment (STREAMHUB_HTTP_BIND) or in streamhub.toml (http_bind).")


@click.command("migrate")
@folder_options
def migrate_command(folder: Folder) -> None:
    """Bring the database to this version. The server does the same when it starts."""
    make_data_dir(folder.settings.data_dir)
    path = folder.settings.data_dir / DATABASE
    new = not path.exists()
    trio.run(_open_once, path)
    known = [m.name for one in load_migrations() for m in one._migrations]
    if folder.as_json:
        click.echo(json.dumps({"database": str(path), "created": new, "migrations": known}, indent=2))
    else:
        click.echo(f"{path} is {'made' if new else 'up to date'}: {', '.join(known)}.")


async def _open_once(path: Path) -> None:
    async with open_store(path):
        pass
