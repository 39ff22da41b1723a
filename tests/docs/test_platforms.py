"""The commands of docs/platforms, typed by a reader; its tables against what the server really answers."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.docs.backends import SESSIONS, backend
from tests.docs.codes import error_codes
from tests.docs.pages import DOCS, Block, blocks, table
from tests.support.offers import OBS_30
from tests.support.server import Server, clean_env, run_server

FOLDER = DOCS / "platforms"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """A fresh server, without LiveKit."""
    async with run_server(tmp_path) as running:
        yield running


def block(page: str, with_text: str) -> Block:
    """The page's only shell block with this text."""
    (found,) = [b for b in blocks(FOLDER / page) if b.language == "sh" and with_text in b.text]
    return found


async def typed(server: Server, text: str, **env: str) -> str:
    """What the commands printed, with our server in place of the reader's; fails if one of them does."""
    text = text.replace("http://127.0.0.1:3020", server.base_url)
    text = re.sub(r"^( *)streamhub ", rf"\1{shlex.quote(sys.executable)} -m streamhub ", text, flags=re.MULTILINE)
    data = {"STREAMHUB_DATA_DIR": str(server.data_dir)}
    done = await trio.run_process(["bash", "-ec", text], env={**clean_env(), **data, **env}, capture_stdout=True)
    return done.stdout.decode()


async def test_backend_when_set_up_as_the_page_says_then_its_token_does(server: Server) -> None:
    steps = (FOLDER / "README.md").read_text("utf-8")
    (make,) = re.findall(r"^ +(streamhub tokens create .*)$", steps, re.MULTILINE)
    (sessions,) = re.findall(r"APP_SESSIONS='(.*)'$", steps, re.MULTILINE)
    (ask,) = re.findall(r"^ +(curl .*/join .*)$", steps, re.MULTILINE)
    shown = json.loads(re.findall(r"```json\n +(.*)\n", steps)[0])
    assert json.loads(sessions).items() <= SESSIONS.items()
    token = re.search(r"sk_[\w-]+", await typed(server, make))
    assert token
    async with backend("python", server.base_url, token[0]) as running:
        answer = json.loads(await typed(server, ask.replace("http://127.0.0.1:8080", running.url)))
    assert set(answer) == set(shown)
    assert answer["wsUrl"] == shown["wsUrl"].replace("127.0.0.1:3020", f"127.0.0.1:{server.port}")
    whole = await server.request("GET", "/api/v1/apps/live/streams", token=token[0])
    assert whole.status == 403  # it may mint, and not even look


async def test_stream_key_when_made_as_the_obs_page_says_then_the_answer_has_its_fields(server: Server) -> None:
    made: dict[str, Any] = json.loads(await typed(server, block("obs.md", "/ingress").text, TOKEN=server.admin_token))[
        "data"
    ]
    named = {row[0] for row in table(FOLDER / "obs.md", "## 1. Make a stream key")}
    assert named <= set(made)
    assert made["url"] == f"{server.base_url}/whip"
    assert made["roomName"] == "live-stage"
    printed = await typed(server, block("obs.md", "curl -i").text, KEY=made["streamKey"])
    assert printed.startswith("HTTP/1.1 422")
    assert '"nothing_sent"' in printed


async def test_refusal_when_obs_is_set_up_wrongly_then_it_is_the_one_in_the_table(server: Server) -> None:
    made = await server.request("POST", "/api/v1/apps/live/ingress", {"inputType": "whip", "room": "stage"})
    good, rows = made.data["streamKey"], table(FOLDER / "obs.md", "## When it does not work")
    for key, offer, expected in [
        (None, OBS_30, "stream_key_required"),
        (good[:-1], OBS_30, "stream_key_invalid"),
        (good, OBS_30.replace("H264/90000", "Theora/90000"), "no_usable_codec"),
        (good, OBS_30, "no_livekit"),
    ]:
        content = {"Content-Type": "application/sdp"}
        answer = await server.request("POST", "/whip", token=key, raw=offer.encode(), headers=content)
        assert answer.json()["code"] == expected
        assert any(f"response code {answer.status}" in row[1] and expected in row[2] for row in rows)


def test_obs_page_names_only_codes_that_exist() -> None:
    rows = table(FOLDER / "obs.md", "## When it does not work")
    named = {word for row in rows for word in re.findall(r"[a-z]+_[a-z_]+|not_found", row[2])}
    assert len(named) > 8
    assert named - error_codes() == set()


def test_page_of_code_that_is_not_run_here_says_so() -> None:
    for name in ("android.md", "ios.md", "native.md"):
        assert "not verified here" in (FOLDER / name).read_text("utf-8").lower()
