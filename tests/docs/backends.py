"""Runs the backends of docs/platforms/backend as a reader would, and is the phone that asks them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from tests.docs.pages import DOCS, ROOT
from tests.support.server import clean_env
from tests.support.waiting import eventually

FOLDER = DOCS / "platforms" / "backend"
SESSIONS = {
    "session-of-ann": {"id": "ann", "rooms": ["demo"], "publish": True},
    "session-of-bob": {"id": "bob", "rooms": ["demo"], "publish": False},
}


def command(language: str) -> list[str]:
    """How it is started."""
    if language == "python":
        return [sys.executable, str(FOLDER / "python" / "app.py")]
    return [str(ROOT / "scripts" / "sdk"), "exec", "node", str(FOLDER / "node" / "server.mjs")]


@attrs.frozen
class Backend:
    """A backend that listens. ``printed``: what it said so far."""

    url: str
    printed: list[str]

    async def ask(self, body: object, session: str | None = "session-of-ann") -> tuple[int, Any]:
        """POST /join as an app with that session does: status and answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send("POST", "/join", data, session)

    async def send(self, method: str, path: str, data: bytes, session: str | None) -> tuple[int, Any]:
        """Any request."""
        sign_in = [] if session is None else ["--header", f"Authorization: Bearer {session}"]
        words = ["curl", "--silent", "--max-time", "30", "--request", method, "--data-binary", "@-", *sign_in]
        words += ["--write-out", "\n%{http_code} %header{cache-control}", self.url + path]
        done = await trio.run_process(words, stdin=data, capture_stdout=True)
        text, _, last = done.stdout.decode().rpartition("\n")
        status, cache = last.split(" ", 1)
        assert cache == "no-store"
        return int(status), json.loads(text)

    async def says(self, text: str) -> None:
        """Return once it has printed this."""
        await eventually(lambda: text in "".join(self.printed))


@asynccontextmanager
async def backend(language: str, hub_url: str, token: str) -> AsyncIterator[Backend]:
    """The backend, killed at the end of the block."""
    env = {
        **clean_env(),
        "STREAMHUB_URL": hub_url,
        "STREAMHUB_TOKEN": token,
        "APP_SESSIONS": json.dumps(SESSIONS),
        "PORT": "0",
    }
    process = await trio.lowlevel.open_process(
        command(language), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    out = process.stdout
    assert out is not None
    printed: list[str] = []

    async def read() -> None:
        async for data in out:
            printed.append(data.decode())

    try:
        async with out, trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await eventually(lambda: "\n" in "".join(printed), within_s=30)
            found = re.match(r"listening on (http://127\.0\.0\.1:\d+)\n", "".join(printed))
            assert found, printed
            yield Backend(found[1], printed)
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
