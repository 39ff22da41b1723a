"""``streamhub tokens``. Whoever can use the data folder needs no token to make one: a lost admin token is no loss."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import click

from streamhub.cli.local import Folder, all_pages, folder_options, public_base, when, work
from streamhub.cli.output import show_facts, show_json, show_table
from streamhub.model.access import Scope
from streamhub.model.clock import iso_ms, utc_now
from streamhub.net.addresses import is_loopback_netloc
from streamhub.services.bundle import Services
from streamhub.services.join_tokens import NewJoinToken
from streamhub.services.tokens import ApiToken, NewToken
from streamhub.web.api.shapes.join_tokens import JoinTokenAnswer
from streamhub.web.api.shapes.join_tokens import shown as shown_join
from streamhub.web.api.shapes.tokens import shown, shown_new
from streamhub.web.schema import parse


@click.group("tokens")
def tokens_group() -> None:
    """API tokens: list, create, revoke; join tokens for people."""


@tokens_group.command("list")
@click.option("--all", "everything", is_flag=True, help="Revoked and expired ones, too.")
@folder_options
def list_tokens(folder: Folder, everything: bool) -> None:
    """List the tokens, newest first, without their secrets."""
    now = utc_now()
    found = work(folder, lambda services: all_pages(services.tokens.page))
    found = [t for t in found if everything or _state(t, now) == "valid"]
    if folder.as_json:
        show_json([shown(t) for t in found])
        return
    rows = [
        (
            t.id,
            t.name,
            f"{t.key_prefix}…",
            f"app {t.app}" if t.scope is Scope.APP else "global",
            [r.value for r in t.rights],
            [*t.allowed_ips] or "any",
            when(t.expires_at) or "never",
            when(t.last_used_at) or "never",
            _state(t, now),
        )
        for t in found
    ]
    head = ("ID", "NAME", "TOKEN", "SCOPE", "RIGHTS", "FROM", "EXPIRES (UTC)", "LAST USED (UTC)", "STATE")
    show_table(head, rows, empty="There is no valid token. Make one: streamhub tokens create --name admin")


@tokens_group.command("create")
@click.option("--name", required=True, help="What it is for.")
@click.option("--app", help="Valid in this app alone (default: everywhere).")
@click.option(
    "--right",
    "rights",
    multiple=True,
    type=click.Choice(["read", "publish", "manage"]),
    help="What it may do; repeatable (default: all three).",
)
@click.option("--allow-ip", "allowed_ips", multiple=True, help="Address or network it may be used from; repeatable.")
@click.option("--expires-at", help="When it stops working, such as 2027-01-31T12:00:00Z.")
@click.option("--days", type=click.IntRange(1, 36500), help="Stops working after so many days.")
@folder_options
def create_token(
    folder: Folder,
    name: str,
    app: str | None,
    rights: tuple[str, ...],
    allowed_ips: tuple[str, ...],
    expires_at: str | None,
    days: int | None,
) -> None:
    """Make a token; it is shown this once. So a lost admin token is made good; revoke the lost one."""
    if expires_at is not None and days is not None:
        raise click.UsageError("--expires-at and --days exclude each other")
    if days is not None:
        expires_at = iso_ms(utc_now() + timedelta(days=days))
    given: dict[str, object] = {"name": name, "scope": "global" if app is None else "app", "app": app}
    given |= {"allowedIps": list(allowed_ips), "expiresAt": expires_at}
    if rights:
        given["rights"] = list(rights)
    new = parse(NewToken, given, "command line")
    issued = work(folder, lambda services: services.tokens.create(new), create=True)
    if folder.as_json:
        show_json(shown_new(issued))
        return
    show_facts([("Token", issued.secret), ("ID", issued.token.id), ("Name", issued.token.name)])
    click.echo("It is not shown again.", err=True)


@tokens_group.command("revoke")
@click.argument("token_id", type=int)
@folder_options
def revoke_token(folder: Folder, token_id: int) -> None:
    """Revoke a token for good; running servers refuse it from their next request on."""
    token = work(folder, lambda services: services.tokens.revoke(token_id, last_too=True))
    if folder.as_json:
        show_json(shown(token))
    else:
        click.echo(f"Token {token.id} ({token.name}) is revoked.")


@tokens_group.command("join")
@click.argument("room")
@click.option("--app", default="live", show_default=True, help="The app of the room.")
@click.option("--name", default="Moderator", show_default=True, help="Shown to the others in the room.")
@click.option("--identity", help="Who joins; a second one of the same identity takes over (default: a made-up one).")
@click.option("--ttl", help='How long it may be used to join, such as "90m" or "2 days" (default: 6 hours).')
@click.option("--audio-only", is_flag=True, help="May publish a microphone and nothing else.")
@click.option("--view-only", is_flag=True, help="May watch and listen only.")
@folder_options
def join_token(
    folder: Folder,
    room: str,
    app: str,
    name: str,
    identity: str | None,
    ttl: str | None,
    audio_only: bool,
    view_only: bool,
) -> None:
    """Mint a token by which a person joins a room, and the address of the studio that takes it."""
    identity = identity or f"moderator-{secrets.token_hex(3)}"
    given = {"room": room, "name": name, "identity": identity, "ttl": ttl}
    new = parse(NewJoinToken, given | {"audioOnly": audio_only, "canPublish": not view_only}, "command line")
    base = public_base(folder.settings)

    async def action(services: Services) -> JoinTokenAnswer:
        tokens = services.join_tokens
        made = tokens.create(await services.apps.get(app), new)
        return shown_join(made, new, base, tokens.rules.ws_of(base))

    answer = work(folder, action, livekit=True)
    if folder.as_json:
        show_json(answer)
        return
    facts = [("Token", answer.token), ("Room", answer.room), ("Identity", answer.identity)]
    show_facts([("Studio", answer.studio_url or "–"), *facts, ("LiveKit clients connect to", answer.ws_url)])
    if answer.studio_url is not None and base.scheme == "http" and not is_loopback_netloc(base.host):
        click.echo(
            f"Browsers give cameras and microphones to https pages and localhost alone, and {base.http} is neither:"
            " see docs/studio.md.",
            err=True,
        )


def _state(token: ApiToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"
