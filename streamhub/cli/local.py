"""Commands on the data folder: opening it, and running one async function over the services."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click
import trio

from streamhub.errors import StoreError
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.clock import utc_now
from streamhub.model.streams import StreamEvent
from streamhub.model.urls import Base
from streamhub.net.addresses import bracketed, is_any_host, lan_address
from streamhub.services.bootstrap import DATABASE, first_run, make_data_dir, own_livekit_keys, running_base
from streamhub.services.bundle import Services, build_services
from streamhub.services.fields import Page, Paging
from streamhub.services.join_tokens import JoinRules
from streamhub.services.live import NoRooms
from streamhub.services.sealing import SecretBox, open_secret_box
from streamhub.settings import Settings, load_settings
from streamhub.store import streams as stream_rows
from streamhub.store.db import Store, open_store

T = TypeVar("T")


@attrs.frozen
class Folder:
    """Which data folder to work on, and how to answer: the options every such command has."""

    settings: Settings
    as_json: bool


@attrs.frozen
class _DirectLedger:
    """Writes stream events at once: beside a server, or without one, there is no group commit to join."""

    store: Store

    async def apply(self, event: StreamEvent) -> None:
        """Return once the row change is committed."""
        await self.store.write(stream_rows.apply_events, [event])


def folder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --data-dir, --config and --json; the command gets them as its first argument, a ``Folder``."""

    @click.option(
        "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="The data folder (STREAMHUB_DATA_DIR)."
    )
    @click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A streamhub.toml (default: ./streamhub.toml).",
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    @functools.wraps(command)
    def wrapped(*args: Any, data_dir: Path | None, config: Path | None, as_json: bool, **kwargs: Any) -> Any:
        return command(Folder(settings_of(data_dir, config), as_json), *args, **kwargs)

    return wrapped


def settings_of(data_dir: Path | None, config: Path | None) -> Settings:
    """The settings, with the folder of the command line before the environment's. Raises ConfigError."""
    env = dict(os.environ)
    if data_dir is not None:
        env["STREAMHUB_DATA_DIR"] = str(data_dir)
    return load_settings(env, config)


def work(
    folder: Folder, action: Callable[[Services], Awaitable[T]], *, create: bool = False, livekit: bool = False
) -> T:
    """What ``action`` returns, over the folder's services.

    ``create``: make the folder on first use. ``livekit``: the services can mint join tokens.

    Raises StoreError, and what ``action`` raises.
    """
    data_dir = folder.settings.data_dir
    if create:
        make_data_dir(data_dir)
        if not (data_dir / DATABASE).is_file():
            # To a newcomer what he wants; to somebody in the wrong folder the reason why nothing fits later.
            click.echo(f"making a new data folder in {data_dir.absolute()} (--data-dir names another)", err=True)
    elif not (data_dir / DATABASE).is_file():
        raise StoreError(
            f"there is no StreamHub data in {data_dir.absolute()}",
            code="no_data",
            hint="Name the folder with --data-dir or STREAMHUB_DATA_DIR, or start the server once: streamhub serve.",
        )

    async def run() -> T:
        async with open_store(data_dir / DATABASE) as store:
            if create:
                await store.write(first_run, utc_now())
            box = await trio.to_thread.run_sync(open_secret_box, data_dir)
            keys, rules = (
                await _for_join_tokens(store, folder.settings, box) if livekit else (LiveKitKeys("", ""), None)
            )
            services = build_services(
                store, NoRooms(), _DirectLedger(store), box=box, livekit=keys, data_dir=data_dir, join_rules=rules
            )
            return await action(services)

    return trio.run(run)


async def _for_join_tokens(store: Store, settings: Settings, box: SecretBox) -> tuple[LiveKitKeys, JoinRules]:
    # Here, so that the other commands do without the server's modules.
    from streamhub.main import join_rules, livekit_keys

    keys = livekit_keys(settings)
    if keys is None:
        keys = await store.write(own_livekit_keys, box)
    return keys, join_rules(settings)


async def all_pages(fetch: Callable[[Paging], Awaitable[Page[T]]]) -> list[T]:
    """Every row of a paged list."""
    rows: list[T] = []
    while True:
        page = await fetch(Paging(limit=500, offset=len(rows)))
        rows += page.items
        if not page.items or len(rows) >= page.total:
            return rows


def public_base(settings: Settings) -> Base:
    """The base of the URLs we print: the public URL, else the running server's, else of where it would listen."""
    known = settings.public_url or running_base(settings.data_dir)
    if known is not None:
        return Base.of(known)
    scheme = "https" if settings.tls_cert is not None else "http"
    bind = next((b for b in settings.http_bind if not b.path), None)
    if bind is None:
        return Base(scheme, "localhost")
    host = (lan_address() or "127.0.0.1") if is_any_host(bind.host) else bind.host
    return Base(scheme, f"{bracketed(host)}:{bind.port}")


def when(at: datetime | None) -> str:
    """A moment for a table."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
