from __future__ import annotations

import pytest

from tests.cli.conftest import Cli


def test_apps_then_from_making_to_removing(filled: Cli) -> None:
    made = filled.json("apps", "create", "garden", "--display-name", "Garden", "--private")
    assert (made["displayName"], made["features"]["publicPlayback"]) == ("Garden", False)
    assert [a["name"] for a in filled.json("apps", "list")] == ["garden", "live"]
    changes = ["--max-fps", "5", "--max-viewers", "9", "--public-playback", "--no-cameras", "--room-prefix", "yard"]
    changed = filled.json("apps", "set", "garden", *changes)
    features = changed["features"]
    assert (changed["roomPrefix"], features["maxViewers"], features["publicPlayback"]) == ("yard", 9, True)
    assert (features["wsIngest"]["maxFps"], features["wsIngest"]["enabled"]) == (5, False)
    assert "Most fps of a camera    5" in filled("apps", "show", "garden").stdout
    assert filled.json("apps", "delete", "garden", "--yes") == {"deleted": True, "name": "garden"}
    assert "NAME" in filled("apps", "list").stdout
    assert "'garden' not found" in filled("apps", "show", "garden", code=1).stderr


def test_set_callback_then_the_secret_comes_from_a_file_and_is_never_shown(filled: Cli) -> None:
    args = ["--callback-url", "https://a.example/hook", "--callback-secret-file", "-"]
    said = filled("apps", "set", "live", *args, given="hunter22\n").stdout
    assert "Callback secret         set" in said
    assert "hunter22" not in said
    shown = filled.json("apps", "show", "live")
    assert (shown["callbackUrl"], shown["callbackSecret"]) == ("https://a.example/hook", "***")
    assert filled.json("apps", "set", "live", "--callback-url", "")["callbackUrl"] is None


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("create", "No"), 1, "name: expected"),
        (("create", "live"), 1, "'live' is taken"),
        (("create", "live-2"), 1, "in the way of 'live'"),
        (("set", "live", "--max-fps", "99"), 1, "features.wsIngest.maxFps: expected 1 to 60"),
        (("set", "live"), 2, "nothing to change"),
        (("set", "nope", "--max-fps", "9"), 1, "'nope' not found"),
        (("set", "live", "--callback-secret-file", "/nonexistent"), 1, "cannot read /nonexistent"),
        (("delete", "live"), 2, "add --yes"),
    ],
)
def test_apps_when_something_is_wrong_then_it_is_said(filled: Cli, args: tuple[str, ...], code: int, said: str) -> None:
    assert said in filled("apps", *args, code=code).stderr
