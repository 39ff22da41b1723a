from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.cli.conftest import Cli


def test_create_when_the_admin_token_is_lost_then_one_command_makes_another(streamhub: Cli) -> None:
    result = streamhub("tokens", "create", "--name", "admin")
    assert result.stdout.splitlines()[0].split()[1].startswith("sk_")
    assert "not shown again" in result.stderr
    row = streamhub.json("tokens", "list")[0]
    assert (row["name"], row["scope"], row["rights"]) == ("admin", "global", ["read", "publish", "manage"])


def test_create_when_limited_then_as_asked(filled: Cli) -> None:
    limits = ["--app", "live", "--right", "read", "--allow-ip", "10.0.0.0/8", "--days", "3"]
    made = filled.json("tokens", "create", "--name", "x", *limits)
    assert (made["scope"], made["app"], made["rights"], made["allowedIps"]) == ("app", "live", ["read"], ["10.0.0.0/8"])
    left = datetime.fromisoformat(made["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=2, hours=23) < left < timedelta(days=3)


def test_create_when_wrong_then_each_problem_in_one_line(filled: Cli) -> None:
    result = filled("tokens", "create", "--name", "x", "--app", "nope", "--allow-ip", "cats", code=1)
    assert "app: there is no app 'nope'" in result.stderr
    assert "allowedIps[0]" in result.stderr
    both = ["--days", "3", "--expires-at", "2027-01-01T00:00:00Z"]
    filled("tokens", "create", "--name", "x", *both, code=2)


def test_list_then_a_table_without_secrets_and_without_dead_tokens(filled: Cli) -> None:
    made = filled.json("tokens", "create", "--name", "short")
    filled("tokens", "revoke", str(made["id"]))
    said = filled("tokens", "list").stdout
    assert "short" not in said
    assert "admin" in said
    everything = filled("tokens", "list", "--all").stdout
    assert "revoked" in everything
    assert made["token"] not in everything
    assert f"{made['keyPrefix']}…" in everything
    head, *rows = everything.splitlines()
    assert {row.index("global") for row in rows} == {head.index("SCOPE")}


def test_revoke_when_it_is_the_last_one_then_the_folders_owner_may(filled: Cli) -> None:
    token_id = filled.json("tokens", "list")[0]["id"]
    assert "is revoked" in filled("tokens", "revoke", str(token_id)).stdout
    assert "streamhub tokens create --name admin" in filled("tokens", "list").stdout
    assert "token 99 not found" in filled("tokens", "revoke", "99", code=1).stderr
