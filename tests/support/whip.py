"""Drives ``whip_peer`` from Trio."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.support.rtc import ROOT, RtcPeer


class WhipPeer(RtcPeer):
    """An encoder."""

    async def give(self, **values: str) -> None:
        """Send it what it waits for."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps(values).encode() + b"\n")


@asynccontextmanager
async def whip_peer(
    url: str = "", key: str = "", *, video: str | None = "vp8", audio: bool = True, wait: bool = False
) -> AsyncIterator[WhipPeer]:
    """An encoder; at the end of the block it leaves without a word, or is killed."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.support.whip_peer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    peer = WhipPeer(process)
    assert process.stdin is not None
    assert process.stdout is not None
    wants = {"url": url, "key": key, "video": video, "audio": audio, "wait": wait}
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.read)
            await process.stdin.send_all(json.dumps(wants).encode() + b"\n")
            yield peer
            nursery.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
        await process.stdout.aclose()
        await process.stdin.aclose()
