"""``streamhub keys``: camera keys, one by one or by the hundred."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from streamhub.cli.keylists import read_import, read_names
from streamhub.cli.local import Folder, all_pages, folder_options, public_base, when, work
from streamhub.cli.output import read_secret, show_csv, show_facts, show_json, show_table
from streamhub.services.apps import App
from streamhub.services.bundle import Services
from streamhub.services.keys import IssuedKey, NewKey
from streamhub.web.api.shapes.ws_ingest import DeletedKey, NewKeyAnswer, shown, shown_new
from streamhub.web.schema import dump, parse

T = TypeVar("T")
CSV_HEAD = ("app", "room", "key", "wsUrl", "identity", "id", "mjpegUrl", "playerUrl")
_app_option = click.option("--app", default="live", show_default=True, help="The app.")
_csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for 'streamhub camera --keys'.")
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)


@click.group("keys")
def keys_group() -> None:
    """Camera keys: each lets one device publish to one room."""


@keys_group.command("list")
@_app_option
@folder_options
def list_keys(folder: Folder, app: str) -> None:
    """List the keys of an app, newest first, without their secrets."""
    found = _in_app(folder, app, lambda services, one: all_pages(lambda paging: services.keys.page(one, paging)))
    if folder.as_json:
        # Whether a camera is connected only the server knows.
        show_json([{name: v for name, v in dump(shown(k)).items() if name != "active"} for k in found])
        return
    rows = [
        (k.id, k.room, f"{k.key_prefix}…", k.identity, f"{k.idle_timeout_s} s", k.takeover, when(k.last_used_at))
        for k in found
    ]
    head = ("ID", "ROOM", "KEY", "IDENTITY", "IDLE", "TAKEOVER", "LAST USED (UTC)")
    show_table(head, rows, empty=f"App '{app}' has no camera keys. Make one: streamhub keys create ROOM")


@keys_group.command("create")
@click.argument("rooms", nargs=-1, metavar="ROOM...")
@click.option(
    "--from", "names", type=_FILE, help="File with one room a line ('#' starts a comment); '-' = standard input."
)
@click.option("--identity", help="Name of the camera in its room (for one room).")
@click.option("--idle-timeout", type=int, default=30, show_default=True, help="Seconds without a frame.")
@click.option("--takeover", is_flag=True, help="It may push another camera off the room.")
@click.option("--own-key-file", help="File with your own wsk_… key (for one room); '-' = standard input.")
@_csv_option
@_app_option
@folder_options
def create_keys(
    folder: Folder,
    rooms: tuple[str, ...],
    names: Path | None,
    identity: str | None,
    idle_timeout: int,
    takeover: bool,
    own_key_file: str | None,
    as_csv: bool,
    app: str,
) -> None:
    """Make a key for each room; the keys are shown this once."""
    wanted = [*rooms, *(read_names(names) if names is not None else [])]
    if not wanted:
        raise click.UsageError("name a room, or a file of rooms with --from")
    if len(wanted) > 1 and (identity is not None or own_key_file is not None):
        raise click.UsageError("--identity and --own-key-file are for one room")
    own = read_secret(own_key_file) if own_key_file is not None else None
    common = {"identity": identity, "idleTimeoutSec": idle_timeout, "takeover": takeover, "streamKey": own}
    new = [parse(NewKey, {"room": room, **common}, f"room {room!r}") for room in wanted]
    _issue(folder, app, new, as_csv)


@keys_group.command("import")
@click.argument("file", type=_FILE)
@_csv_option
@_app_option
@folder_options
def import_keys(folder: Folder, file: Path, as_csv: bool, app: str) -> None:
    """Take over keys that devices have already: the original's listing (JSON), or CSV with room and key."""
    _issue(folder, app, read_import(file), as_csv)


@keys_group.command("rotate")
@click.argument("key_id")
@_app_option
@folder_options
def rotate_key(folder: Folder, key_id: str, app: str) -> None:
    """Exchange the secret of a key; a camera on the old one is disconnected."""
    rotated = _in_app(folder, app, lambda services, one: _answered(folder, one, services.keys.rotate(one, key_id)))
    _show_one(folder, rotated)


@keys_group.command("revoke")
@click.argument("key_id")
@_app_option
@folder_options
def revoke_key(folder: Folder, key_id: str, app: str) -> None:
    """Revoke a key; a running server disconnects its camera within about a second."""
    _in_app(folder, app, lambda services, one: services.keys.revoke(one, key_id))
    if folder.as_json:
        show_json(DeletedKey(key_id, True))
    else:
        click.echo(f"Key {key_id} is revoked.")


def _issue(folder: Folder, app: str, new: list[NewKey], as_csv: bool) -> None:
    async def action(services: Services, one: App) -> list[NewKeyAnswer]:
        base = public_base(folder.settings)
        return [shown_new(one, issued, base) for issued in await services.keys.create_many(one, new)]

    made = _in_app(folder, app, action, create=True)
    if as_csv:
        show_csv(
            CSV_HEAD, [(app, k.room, k.stream_key, k.ws_url, k.identity, k.id, k.mjpeg_url, k.player_url) for k in made]
        )
    elif folder.as_json:
        show_json(made)
    elif len(made) == 1:
        _show_one(folder, made[0])
    else:
        show_table(("ROOM", "KEY", "CAMERA CONNECTS TO"), [(k.room, k.stream_key, k.ws_url) for k in made], empty="")
        click.echo("The keys are not shown again.", err=True)


def _show_one(folder: Folder, key: NewKeyAnswer) -> None:
    if folder.as_json:
        show_json(key)
        return
    show_facts(
        [
            ("Key", key.stream_key),
            ("ID", key.id),
            ("Room", key.room),
            ("Identity", key.identity),
            ("Camera connects to", key.ws_url),
            ("Watch", key.player_url),
            ("MJPEG", key.mjpeg_url),
            ("Snapshot", key.frame_url),
        ]
    )
    click.echo("The key is not shown again.", err=True)


async def _answered(folder: Folder, app: App, issuing: Awaitable[IssuedKey]) -> NewKeyAnswer:
    return shown_new(app, await issuing, public_base(folder.settings))


def _in_app(folder: Folder, name: str, action: Callable[[Services, App], Awaitable[T]], *, create: bool = False) -> T:
    async def run(services: Services) -> T:
        return await action(services, await services.apps.get(name))

    return work(folder, run, create=create)
