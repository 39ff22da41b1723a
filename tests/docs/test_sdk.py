"""docs/sdk.md against the SDK's source: options, events and failures of both, in both directions."""

from __future__ import annotations

import re

from tests.docs.pages import DOCS, ROOT

PAGE = (DOCS / "sdk.md").read_text("utf-8")
SOURCE = ROOT / "sdk" / "src"
ANTMEDIA = PAGE.partition("## Pages written for AntMedia")[2]


def first_cells(text: str, head: str) -> set[str]:
    """The words in code of the first column of the table with this head."""
    rows = re.search(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows, head
    return {word for line in rows[1].splitlines() for word in re.findall(r"`(\w+)`", line.split("|")[1])}


def source(name: str) -> str:
    return (SOURCE / name).read_text("utf-8")


def members(name: str, interface: str) -> set[str]:
    """The names in one interface of the source."""
    body = re.search(rf"interface {interface}\b.*?\{{\n(.*?)\n\}}", source(name), re.DOTALL)
    assert body, interface
    return set(re.findall(r"^  (\w+)\??:", body[1], re.MULTILINE))


def test_antmedia_options_are_the_ones_of_the_source() -> None:
    assert first_cells(ANTMEDIA, "Option") == members("adaptor/options.ts", "StreamHubAdaptorConfig")


def test_antmedia_events_and_failures_are_the_ones_of_the_source() -> None:
    code = source("adaptor/adaptor.ts")
    assert first_cells(ANTMEDIA, "Event") == set(re.findall(r"#tell\('(\w+)'", code))
    assert first_cells(ANTMEDIA, "Failure") == set(re.findall(r"'(\w+Error)'", code))


def test_antmedia_calls_are_the_ones_of_the_source() -> None:
    code = source("adaptor/adaptor.ts")
    public = set(re.findall(r"^  (?:async )?([a-z]\w+)(?:\(| = \()", code, re.MULTILINE)) - {"constructor"}
    rows = re.search(r"^\| AntMedia \| Here \|\n\|[-|]+\|\n((?:\|.*\n)+)", ANTMEDIA, re.MULTILINE)
    assert rows
    named = {word for line in rows[1].splitlines() for word in re.findall(r"`(\w+)", line.split("|")[1])}
    assert named == public


def test_play_and_publish_options_and_events_are_the_ones_of_the_source() -> None:
    play = PAGE.partition("## play(element, options)")[2].partition("\n## ")[0]
    publish = PAGE.partition("## publish(options)")[2].partition("\n## ")[0]
    assert first_cells(play, "Option") == members("player/player.ts", "PlayOptions") | members("server.ts", "Place")
    assert first_cells(play, "Event") == members("player/player.ts", "PlayEvents")
    constraints = members("capture.ts", "StreamHubMediaConstraints")
    assert first_cells(publish, "Option") == members("publisher.ts", "PublishOptions") | constraints
    assert first_cells(publish, "Event") == members("session.ts", "SessionEvents")
