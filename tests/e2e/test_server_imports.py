"""What a server loads to answer: each library costs its start and its memory."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import run_server

# livekit-api, which brings aiohttp, is loaded when LiveKit is first called; av and aiortc are the workers'.
# sqlite-utils looks for numpy, which a server does not have; developers do, by LiveKit's SDK in the tests.
# The simulated camera is the demo's and the command line's.
NOT_NEEDED = {
    "aiohttp", "aiortc", "av", "livekit.api", "livekit.rtc", "numpy", "pandas", "streamhub.simulator.camera",
}  # fmt: skip


async def test_server_when_it_has_answered_then_what_only_others_need_is_not_loaded(tmp_path: Path) -> None:
    async with run_server(tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        assert (await server.request("GET", "/api/v1/health")).status == 200
    log = (tmp_path / "server.log").read_text("utf-8")
    loaded = {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}
    assert {"quart", "livekit.protocol.room", "streamhub.main"} <= loaded, "the log does not say what was loaded"
    assert loaded & NOT_NEEDED == set()
