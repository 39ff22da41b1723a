"""``streamhub apps``."""

from __future__ import annotations

from typing import Any

import click

from streamhub.cli.local import Folder, all_pages, folder_options, when, work
from streamhub.cli.output import confirm, read_secret, show_facts, show_json, show_table
from streamhub.services.apps import App, AppPatch, NewApp
from streamhub.services.bundle import Services
from streamhub.web.api.shapes.apps import shown
from streamhub.web.schema import parse, wire_name


@click.group("apps")
def apps_group() -> None:
    """Apps: namespaces of rooms, each with its own limits."""


@apps_group.command("list")
@folder_options
def list_apps(folder: Folder) -> None:
    """List the apps."""
    found = work(folder, lambda services: all_pages(services.apps.page))
    if folder.as_json:
        show_json([shown(a) for a in found])
        return
    rows = [
        (a.name, a.display_name, a.room_prefix, a.features.public_playback, a.features.ws_ingest.enabled) for a in found
    ]
    show_table(("NAME", "DISPLAY NAME", "PREFIX", "PUBLIC", "CAMERAS"), rows, empty="There are no apps.")


@apps_group.command("create")
@click.argument("name")
@click.option("--display-name", help="Name for people (default: the name).")
@click.option("--room-prefix", help="Prefix of its rooms (default: the name).")
@click.option("--private", is_flag=True, help="Watching needs a token.")
@folder_options
def create_app(folder: Folder, name: str, display_name: str | None, room_prefix: str | None, private: bool) -> None:
    """Make an app."""
    given: dict[str, Any] = {"name": name, "displayName": display_name, "roomPrefix": room_prefix}
    if private:
        given["features"] = {"publicPlayback": False}
    new = parse(NewApp, given, "command line")
    _show(folder, work(folder, lambda services: services.apps.create(new), create=True))


@apps_group.command("show")
@click.argument("name")
@folder_options
def show_app(folder: Folder, name: str) -> None:
    """Show one app with all it allows."""
    _show(folder, work(folder, lambda services: services.apps.get(name)))


@apps_group.command("set")
@click.argument("name")
@click.option("--display-name", help="Name for people.")
@click.option("--room-prefix", help="Prefix of its rooms; only while none is live.")
@click.option("--public-playback/--private-playback", default=None, help="Whether anybody may watch.")
@click.option("--public-wall/--no-public-wall", default=None, help="Whether live cameras show on the front page.")
@click.option("--cameras/--no-cameras", default=None, help="Whether cameras may connect.")
@click.option("--max-cameras", type=int, help="Most cameras live at a time; 0 = no cap.")
@click.option("--max-fps", type=int, help="Most frames a second of one camera.")
@click.option("--max-frame-kb", type=int, help="Largest frame, in KiB.")
@click.option("--max-viewers-per-room", type=int, help="Most viewers of one room; 0 = no cap.")
@click.option("--max-viewers", type=int, help="Most viewers of the app; 0 = no cap.")
@click.option("--callback-url", help="Where events are sent; '' removes it.")
@click.option("--callback-secret-file", help="File with the secret that signs the events; '-' = standard input.")
@folder_options
def set_app(folder: Folder, name: str, **options: Any) -> None:
    """Change an app; what is not given stays."""
    given = {k: v for k, v in options.items() if v is not None}
    if not given:
        raise click.UsageError("nothing to change: see 'streamhub apps set --help'")
    camera = {wire_name(k): given.pop(k) for k in ("max_cameras", "max_fps", "max_frame_kb") if k in given}
    if "cameras" in given:
        camera["enabled"] = given.pop("cameras")
    known = ("public_playback", "public_wall", "max_viewers_per_room", "max_viewers")
    features: dict[str, Any] = {wire_name(k): given.pop(k) for k in known if k in given}
    if camera:
        features["wsIngest"] = camera
    body: dict[str, Any] = {}
    if "callback_secret_file" in given:
        body["callbackSecret"] = read_secret(given.pop("callback_secret_file"))
    if "callback_url" in given:
        body["callbackUrl"] = given.pop("callback_url") or None
    body |= {wire_name(k): v for k, v in given.items()}
    if features:
        body["features"] = features
    patch = parse(AppPatch, body, "command line")

    async def action(services: Services) -> App:
        return await services.apps.patch(await services.apps.get(name), patch)

    _show(folder, work(folder, action))


@apps_group.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@folder_options
def delete_app(folder: Folder, name: str, yes: bool) -> None:
    """Remove an app with its keys, tokens and streams; its cameras are disconnected."""
    confirm(f"Remove app '{name}' with all its camera keys and tokens?", yes)

    async def action(services: Services) -> None:
        await services.apps.delete(await services.apps.get(name))

    work(folder, action)
    if folder.as_json:
        show_json({"deleted": True, "name": name})
    else:
        click.echo(f"App '{name}' is gone.")


def _show(folder: Folder, app: App) -> None:
    if folder.as_json:
        show_json(shown(app))
        return
    features, cameras = app.features, app.features.ws_ingest
    show_facts(
        [
            ("Name", app.name),
            ("Display name", app.display_name),
            ("Room prefix", app.room_prefix),
            ("Public playback", features.public_playback),
            ("Public wall", features.public_wall),
            ("Cameras may connect", cameras.enabled),
            ("Most cameras", cameras.max_cameras or "no cap"),
            ("Most fps of a camera", cameras.max_fps),
            ("Largest frame", f"{cameras.max_frame_kb} KiB"),
            ("Most viewers of a room", features.max_viewers_per_room or "no cap"),
            ("Most viewers", features.max_viewers or "no cap"),
            ("Callback URL", app.callback_url or "none"),
            ("Callback secret", "set" if app.has_callback_secret else "none"),
            ("Created", f"{when(app.created_at)} UTC"),
        ]
    )
