"""``streamhub tokens``. Whoever can use the data folder needs no token to make one: a lost admin token is no loss."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from streamhub.cli.local import Folder, all_pages, folder_options, when, work
from streamhub.cli.output import show_facts, show_json, show_table
from streamhub.model.access import Scope
from streamhub.model.clock import iso_ms, utc_now
from streamhub.services.tokens import ApiToken, NewToken
from streamhub.web.api.shapes.tokens import shown, shown_new
from streamhub.web.schema import parse


@click.group("tokens")
def tokens_group() -> None:
    """API tokens: list, create, revoke."""


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


def _state(token: ApiToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"
