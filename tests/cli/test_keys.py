from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from streamhub.simulator.fleet import read_keys
from tests.cli.conftest import Cli


def test_create_when_one_room_then_the_key_and_its_urls_for_a_person(streamhub: Cli) -> None:
    result = streamhub("keys", "create", "cam1", "--identity", "gate")
    facts = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    facts = {k.strip(): v.strip() for k, v in facts.items()}
    assert facts["Key"].startswith("wsk_")
    assert (facts["Room"], facts["Identity"]) == ("live-cam1", "gate")
    assert facts["Camera connects to"] == "wss://hub.example/ingest/ws?app=live&room=cam1"
    assert facts["Watch"] == "https://hub.example/play/live/live-cam1"


def test_create_when_many_then_csv_the_simulator_reads(filled: Cli) -> None:
    names = "# the north side\ncam1\n\n  cam2  # gate\ncam3\n"
    out = filled("keys", "create", "--from", "-", "--csv", given=names).stdout
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [r["room"] for r in rows] == ["live-cam1", "live-cam2", "live-cam3"]
    assert len({r["key"] for r in rows}) == 3
    assert rows[0]["wsUrl"] == "wss://hub.example/ingest/ws?app=live&room=cam1"
    Path("keys.csv").write_text(out)
    assert [(k.room, k.key) for k in read_keys(Path("keys.csv"))] == [(r["room"], r["key"]) for r in rows]


def test_create_when_many_on_the_command_line_then_a_table_or_json(filled: Cli) -> None:
    head, *rows = filled("keys", "create", "a", "b").stdout.splitlines()
    assert head.split()[:2] == ["ROOM", "KEY"]
    assert [r.split()[0] for r in rows] == ["live-a", "live-b"]
    assert [k["room"] for k in filled.json("keys", "create", "c", "d")] == ["live-c", "live-d"]


def test_create_when_the_key_is_my_own_then_from_a_file(filled: Cli) -> None:
    Path("key").write_text("wsk_burnt-into-the-device-2024\n")
    made = filled.json("keys", "create", "cam1", "--own-key-file", "key")
    assert made[0]["streamKey"] == "wsk_burnt-into-the-device-2024"


def test_list_then_no_key_in_full(filled: Cli) -> None:
    assert "no camera keys" in filled("keys", "list").stdout
    key = filled.json("keys", "create", "cam1")[0]
    said = filled("keys", "list").stdout
    assert f"{key['keyPrefix']}…" in said
    assert key["streamKey"] not in said
    row = filled.json("keys", "list")[0]
    assert row["id"] == key["id"]
    assert "active" not in row
    assert key["streamKey"] not in json.dumps(row)


def test_rotate_and_revoke(filled: Cli) -> None:
    key = filled.json("keys", "create", "cam1")[0]
    new = filled.json("keys", "rotate", key["id"])
    assert new["id"] == key["id"]
    assert new["streamKey"] != key["streamKey"]
    assert filled.json("keys", "revoke", key["id"]) == {"id": key["id"], "deleted": True}
    assert "not found" in filled("keys", "revoke", key["id"], code=1).stderr


@pytest.mark.parametrize("wrapped", [True, False])
def test_import_when_the_originals_listing_then_the_devices_keys_work_on(filled: Cli, wrapped: bool) -> None:
    listing: object = [
        {"id": "wsi_1", "room": "live-cam1", "streamKey": "wsk_" + "a" * 32, "active": True, "createdAt": "2026-01-01"},
        {"id": "wsi_2", "room": "cam2", "streamKey": "wsk_" + "b" * 32, "active": False, "identity": "gate"},
    ]
    Path("keys.json").write_text(json.dumps({"data": listing} if wrapped else listing))
    made = filled.json("keys", "import", "keys.json")
    assert [(k["room"], k["streamKey"]) for k in made] == [
        ("live-cam1", "wsk_" + "a" * 32),
        ("live-cam2", "wsk_" + "b" * 32),
    ]
    assert made[1]["identity"] == "gate"


@pytest.mark.parametrize(
    "text", ["cam1,{k}\n", "room,key\ncam1,{k}\n", "key,note,room\n{k},x,cam1\n", "\ufeffroom,streamKey\ncam1,{k}\n"]
)
def test_import_when_csv_then_with_or_without_a_head(filled: Cli, text: str) -> None:
    Path("keys.csv").write_text(text.format(k="wsk_" + "c" * 32), "utf-8")
    assert [k["room"] for k in filled.json("keys", "import", "keys.csv")] == ["live-cam1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("room,key\na b,wsk_short-secret\n,\ncam3,\n", "line 2.room"),
        ('{"room": 1', "not JSON"),
        ('{"keys": []}', "not a list of keys"),
        ("[]", "lists no key"),
        ("", "lists no key"),
    ],
)
def test_import_when_the_file_is_bad_then_said_without_a_key_and_nothing_is_made(
    filled: Cli, text: str, said: str
) -> None:
    Path("keys").write_text(text)
    result = filled("keys", "import", "keys", code=1)
    assert said in result.stderr
    assert "short-secret" not in result.stderr
    assert filled.json("keys", "list") == []


def test_import_when_one_key_is_known_then_none_is_made(filled: Cli) -> None:
    Path("one.csv").write_text(f"cam1,wsk_{'d' * 32}\n")
    Path("two.csv").write_text(f"cam2,wsk_{'e' * 32}\ncam1,wsk_{'d' * 32}\n")
    filled("keys", "import", "one.csv")
    assert "in use already" in filled("keys", "import", "two.csv", code=1).stderr
    assert len(filled.json("keys", "list")) == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("create",), 2, "name a room"),
        (("create", "a b"), 1, "room 'a b'"),
        (("create", "a", "b", "--identity", "x"), 2, "for one room"),
        (("create", "a", "--idle-timeout", "1"), 1, "idleTimeoutSec: expected 5 to 3600"),
        (("create", "a", "--app", "nope"), 1, "'nope' not found"),
        (("list", "--app", "nope"), 1, "'nope' not found"),
        (("import", "nothing.csv"), 2, "does not exist"),
        (("rotate", "wsi_x"), 1, "'wsi_x' not found"),
    ],
)
def test_keys_when_something_is_wrong_then_it_is_said(filled: Cli, args: tuple[str, ...], code: int, said: str) -> None:
    assert said in filled("keys", *args, code=code).stderr
