"""A viewer worker as a child process: started with its end of a channel, ended with the block."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from streamhub.fanout.channel import Channel, pair
from streamhub.observe.log import get_logger

# It has nothing to tidy up.
GRACE_S = 1.0
_PASSED_ON = frozenset({"PATH", "HOME", "TMPDIR", "TZ", "LANG"})
_MOST_TOLD = 2000

log = get_logger("fanout")


@asynccontextmanager
async def open_worker() -> AsyncIterator[Channel]:
    """The channel to a new worker; after the block its process has ended. Raises OSError if it cannot be started."""
    ours, theirs = pair()
    channel = Channel(ours)
    try:
        try:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-I", "-m", "streamhub.fanout", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env={k: v for k, v in os.environ.items() if k in _PASSED_ON},
                start_new_session=True,  # Ctrl-C is for us
            )
        finally:
            theirs.close()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_forward, process)
            try:
                yield channel
            finally:
                channel.close()
                await _end(process)
                nursery.cancel_scope.cancel()
    finally:
        channel.close()


async def _end(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        with trio.move_on_after(GRACE_S):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _forward(process: trio.Process) -> None:
    """What it complains of goes to our log; it says nothing while all is well."""
    assert process.stderr is not None
    async with process.stderr:
        async for data in process.stderr:
            log.warning("viewer worker", pid=process.pid, said=bytes(data).decode("utf-8", "replace")[-_MOST_TOLD:])
