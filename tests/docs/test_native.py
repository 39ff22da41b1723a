"""docs/platforms/native: the two examples, run by a reader against the real livekit-server."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from tests.docs.pages import DOCS
from tests.support.rtc import rtc_peer
from tests.support.server import Server, clean_env
from tests.support.waiting import eventually

FOLDER = DOCS / "platforms" / "native"


@attrs.define
class Program:
    """A running example. ``text``: what it printed."""

    process: trio.Process
    text: str = ""

    async def says(self, text: str, within_s: float = 30) -> None:
        await eventually(lambda: text in self.text, within_s)

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            self.text += data.decode()

    async def ends(self) -> None:
        """Press Ctrl-C; it must end well."""
        self.process.send_signal(signal.SIGINT)
        with trio.fail_after(20):
            assert await self.process.wait() == 0, self.text


@asynccontextmanager
async def example(name: str, pair: dict[str, str]) -> AsyncIterator[Program]:
    """The example, killed at the end of the block if it still runs."""
    process = await trio.lowlevel.open_process(
        [sys.executable, str(FOLDER / name)],
        env={**clean_env(), "LIVEKIT_URL": pair["wsUrl"], "LIVEKIT_TOKEN": pair["token"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    program = Program(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(program.read)
            yield program
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        assert process.stdout is not None
        await process.stdout.aclose()


async def pair(hub: Server, identity: str, *, publish: bool) -> dict[str, str]:
    body = {"room": "demo", "identity": identity, "canPublish": publish, "canSubscribe": not publish}
    answer = await hub.request("POST", "/api/v1/apps/live/tokens", body)
    data: dict[str, str] = answer.data
    return data


async def test_examples_when_run_then_one_sees_and_hears_the_other_and_both_end_well(hub: Server) -> None:
    judging = await pair(hub, "judge", publish=False)
    async with (
        rtc_peer(judging["wsUrl"], judging["token"]) as judge,
        example("watch.py", await pair(hub, "screen", publish=False)) as watching,
        example("publish.py", await pair(hub, "robot", publish=True)) as publishing,
    ):
        await publishing.says("publishing in live-demo as robot")
        await judge.said("frames", who="robot", count=10)
        await judge.said("sound", who="robot")
        await watching.says("robot: 1 frames, ")
        await watching.says("robot: sound")
        await publishing.ends()
        await watching.says("robot left")
        await watching.ends()
