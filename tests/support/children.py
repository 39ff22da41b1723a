"""The end of child processes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import trio


async def end_of_input(process: trio.Process, within_s: float) -> None:
    """Close its input and wait for it, so long at most."""
    assert process.stdin is not None
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await process.stdin.aclose()
    with trio.move_on_after(within_s):
        await process.wait()


async def bury(process: trio.Process) -> None:
    """Kill it if it still runs, and close its pipes."""
    if process.returncode is None:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await stream.aclose()


def gone(pid: int) -> bool:
    """Whether the process has ended, also where nobody has waited for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
