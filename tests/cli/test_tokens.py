from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

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


def test_join_then_a_studio_address_whose_token_opens_the_room_as_asked(filled: Cli) -> None:
    said = filled("tokens", "join", "demo").stdout
    facts = {k.strip(): v.strip() for k, v in (line.split("  ", 1) for line in said.splitlines())}
    assert facts["Studio"] == f"https://hub.example/studio/live/live-demo#token={facts['Token']}"
    assert facts["LiveKit clients connect to"] == "wss://hub.example"
    claims = jwt.decode(facts["Token"], options={"verify_signature": False})
    assert claims["name"] == "Moderator"
    assert claims["sub"] == facts["Identity"]
    assert claims["sub"].startswith("moderator-")
    assert (claims["video"]["room"], claims["video"]["canPublish"]) == ("live-demo", True)
    # The same key signs again: the server that runs on this folder accepts it.
    again = filled.json("tokens", "join", "demo", "--audio-only", "--ttl", "90m", "--identity", "ann")
    assert again["audioOnly"] is True
    limited = jwt.decode(again["token"], options={"verify_signature": False})
    assert (limited["iss"], limited["sub"], limited["exp"] - limited["nbf"]) == (claims["iss"], "ann", 5400)
    assert limited["video"]["canPublishSources"] == ["microphone"]


def test_join_when_it_may_only_watch_then_no_studio_address(filled: Cli) -> None:
    assert filled.json("tokens", "join", "demo", "--view-only")["studioUrl"] is None


def test_join_when_browsers_would_refuse_the_address_then_it_says_so(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, warned in (("http://10.0.0.7:3020", True), ("http://localhost:3020", False)):
        monkeypatch.setattr(filled, "public_url", url)
        result = filled("tokens", "join", "demo")
        assert ("docs/studio.md" in result.stderr) is warned


def test_join_when_wrong_then_it_says_what(filled: Cli, tmp_path: Path) -> None:
    assert "app 'nope' not found" in filled("tokens", "join", "demo", "--app", "nope", code=1).stderr
    assert "at most 1d" in filled("tokens", "join", "demo", "--ttl", "3 days", code=1).stderr
    nowhere = Cli(tmp_path / "other")
    assert "there is no StreamHub data" in nowhere("tokens", "join", "demo", code=1).stderr
