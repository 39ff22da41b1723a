"""Tables in the docs against the code, both ways: what is in one and not in the other fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import pytest

from streamhub.cli import cli
from streamhub.model.ingress import IngressState
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.relays import RelayCounts
from streamhub.model.streams import RoomStatus, SourceStatus, State, StreamType
from streamhub.model.workers import WorkerCounts
from streamhub.observe.metrics import Metrics
from streamhub.settings import describe, load_settings
from streamhub.web.app import all_routes
from streamhub.web.auth import Auth
from tests.docs.codes import error_codes
from tests.docs.pages import DOCS, ROOT, as_table, table


def same(page: str, heading: str, expected: list[list[str]]) -> None:
    """The table has these rows, in this order; the message has them ready to be pasted."""
    assert table(DOCS / page, heading) == expected, f"docs/{page}, {heading}: make it\n{as_table(expected)}"


def test_settings_page_lists_every_setting() -> None:
    rows = describe(load_settings({}))
    same("settings.md", "## All settings", [[r["name"], r["env"], r["default"] or "unset", r["doc"]] for r in rows])


def leaves(
    command: click.Command, path: tuple[str, ...], context: click.Context
) -> Iterator[tuple[str, click.Command]]:
    """All commands that do something, with their full names."""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from leaves(inner, (*path, name), context)
    else:
        yield " ".join(path), command


def test_commands_page_lists_every_command_with_its_help() -> None:
    found = leaves(cli, ("streamhub",), click.Context(cli))
    same("commands.md", "## All commands", [[n, " ".join((c.help or "").split("\n\n")[0].split())] for n, c in found])


@pytest.mark.parametrize("name", [name for name, _ in leaves(cli, (), click.Context(cli))])
def test_option_of_a_command_has_a_help_text(name: str) -> None:
    found = dict(leaves(cli, (), click.Context(cli)))[name]
    assert found.help
    assert [p.name for p in found.params if isinstance(p, click.Option) and not p.help] == []


def needs(auth: Auth) -> str:
    """The word of the column: what a token needs."""
    if auth.public:
        return "–"
    if auth.right is None:
        return "any token"
    return auth.right.value + (", global" if auth.everywhere else "")


def test_api_page_lists_every_route() -> None:
    expected = []
    for route in all_routes("x"):
        path = re.sub(r"<(?:path:)?(\w+)>", r"{\1}", route.full_path)
        expected.append([route.method, path, needs(route.auth), route.summary])
    same("api.md", "## Routes", expected)


def test_api_page_lists_every_error_code() -> None:
    rows = table(DOCS / "api.md", "### Error codes")
    listed = [word.strip("` ") for row in rows for word in row[0].split(",")]
    assert len(listed) == len(set(listed))
    found = error_codes()
    assert {"validation_failed", "store_full", "play_token_invalid", "not_found"} <= found, "the search misses codes"
    assert found - set(listed) == set(), "docs/api.md lacks these"
    assert set(listed) - found == set(), "docs/api.md has these, and the code does not"


async def test_operations_page_lists_every_metric_with_its_labels() -> None:
    metrics, now = Metrics(), datetime.now(UTC)
    kind = StreamType.WS_MJPEG
    source = SourceStatus("a/b", kind, "b", None, now, now, 1.0, 1, 1, 1, "mjpeg", 1, {"fps": 1})
    room = RoomStatus(RoomKey(AppName("a"), RoomName("a")), State.LIVE, now, source, {"mjpeg": 1, "ws": 1})
    metrics.watch_rooms(lambda: [room], lambda: (0, 0, {}))
    metrics.watch_relays(lambda: RelayCounts(1, 2, {("a", IngressState.ERROR): 1}, (), {("a", "eof"): 1}, 1))
    metrics.watch_workers(lambda: WorkerCounts(1, 1, 1, 1, 1.0, 1))
    metrics.http_observe("GET", "/", 200, 0.1)
    for counter in (metrics.errors, metrics.stream_events):
        counter.labels("a", "b").inc()
    metrics.handshakes.labels("a").inc()
    text = (await metrics.exposition()).decode()
    expected = []
    for name, doc in re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE):
        sample = re.search(rf"^{name}(?:_bucket)?(?:{{(.*?)}})? ", text, re.MULTILINE)
        assert sample, f"{name} has no sample: tell this test how to make one"
        labels = [label for label in re.findall(r'(\w+)="', sample[1] or "") if label != "le"]
        expected.append([name, ", ".join(labels) or "–", doc])
    same("operations.md", "## Metrics", expected)


def test_protocol_page_lists_every_refusal_with_its_close_code() -> None:
    found = set()
    for name in ("wire/camera.py", "services/access.py"):
        text = (ROOT / "streamhub" / name).read_text("utf-8")
        found |= set(re.findall(r'Refusal\((\d{4}), "(\w+)"', text))
    assert len(found) >= 8
    rows = table(DOCS / "camera-protocol.md", "## Refusals")
    assert {(code, word) for word, code, *_ in rows} == found


def test_protocol_page_lists_every_close_code() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "streamhub").rglob("*.py")]
    found = {m for text in texts for m in re.findall(r"(?:EndOrder|Refusal)\((\d{4}),", text)}
    listed = {row[0] for row in table(DOCS / "camera-protocol.md", "## Close codes")}
    assert found - {"1006"} <= listed  # 1006 never goes over the wire
    assert {code for code in listed - found if code > "2000"} == set()  # those below are RFC 6455's own
