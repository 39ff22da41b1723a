"""livekit-api is loaded when it is first called, by however many at once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import trio
from streamhub.livekit import client

async def use() -> None:
    await client._loaded()
    from livekit.api.egress_service import EgressService
    from livekit.api.ingress_service import IngressService
    from livekit.api.room_service import RoomService

async def main() -> None:
    assert "livekit.api" not in sys.modules
    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(use)
            await trio.sleep(0.01)  # the first are in the midst of it

trio.run(main)
"""


def test_many_first_calls_at_once_then_each_finds_the_whole_library() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
