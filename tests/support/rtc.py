"""Drives ``rtc_peer`` from Trio."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.support.children import bury, end_of_input

ROOT = Path(__file__).parents[2]


@attrs.define(eq=False)
class RtcPeer:
    """A client that has joined, or was refused. ``events`` is everything it said."""

    process: trio.Process
    events: list[dict[str, Any]] = attrs.field(factory=list)
    _more: trio.Event = attrs.field(factory=trio.Event)

    async def read(self) -> None:
        """Collect what it says, until it ends."""
        rest = b""
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                # @livekit/rtc-node writes its log among them, in JSON too.
                if line.startswith(b"{") and "event" in (said := json.loads(line)):
                    self.events.append(said)
            self._more.set()
            self._more = trio.Event()

    async def said(self, event: str, *, within_s: float = 60, **expected: Any) -> dict[str, Any]:
        """The first such event it said or says."""
        with trio.move_on_after(within_s):
            while True:
                for found in self.events:
                    if found["event"] == event and expected.items() <= found.items():
                        return found
                await self._more.wait()
        raise AssertionError(f"it never said {event} {expected}, but {self.events}")

    async def do(self, what: str, **more: Any) -> None:
        """Send a command."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps({"do": what, **more}).encode() + b"\n")


@asynccontextmanager
async def rtc_peer(url: str, token: str, *, marks: bool = False) -> AsyncIterator[RtcPeer]:
    """A client that tries to join; it leaves at the end of the block, or is killed. ``marks``: see ``rtc_peer``."""
    async with peer_process([sys.executable, "-m", "tests.support.rtc_peer"], stderr=subprocess.DEVNULL) as peer:
        assert peer.process.stdin is not None
        await peer.process.stdin.send_all(json.dumps({"url": url, "token": token, "marks": marks}).encode() + b"\n")
        yield peer


@asynccontextmanager
async def peer_process(command: list[str], stderr: int | None = None) -> AsyncIterator[RtcPeer]:
    """A program that speaks as ``rtc_peer`` does; its input ends with the block, and it is killed if it stays."""
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT
    )
    peer = RtcPeer(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.read)
            yield peer
            await end_of_input(process, 10)
            nursery.cancel_scope.cancel()
    finally:
        await bury(process)
