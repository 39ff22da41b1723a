"""A real livekit-server for tests: where it is, and how to make our server start it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def livekit_binary() -> str:
    """The livekit-server that scripts/setup built; a test without one fails, it is not skipped."""
    named = os.environ.get("STREAMHUB_LIVEKIT_BINARY")
    found = named or shutil.which("livekit-server") or str(ROOT / ".cache" / "livekit" / "livekit-server")
    assert os.access(found, os.X_OK), f"no livekit-server at {found}: run scripts/setup test"
    return found


def livekit_env() -> dict[str, str]:
    """Settings by which ``run_server`` starts a livekit-server of its own on free ports."""
    return {
        "STREAMHUB_LIVEKIT_BINARY": livekit_binary(),
        "STREAMHUB_RTC_UDP_PORT": "0",
        "STREAMHUB_RTC_TCP_PORT": "0",
    }


def children(pid: int) -> list[int]:
    """Child processes, whichever thread started them; none of a process that has ended."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has just ended
            found += map(int, task.read_text().split())
    return found


def livekit_pids(server: int) -> list[int]:
    """The livekit-server below our server of that process id: the guard's child. Relay workers have children too."""
    return [child for guard in children(server) for child in children(guard) if _is_livekit(child)]


def _is_livekit(pid: int) -> bool:
    """By its program, which one that has just ended does not have any more."""
    try:
        return b"livekit-server" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
