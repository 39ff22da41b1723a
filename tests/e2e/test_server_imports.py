"""What a server loads to answer: each library costs its start and its memory."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import run_server

# livekit-api, which brings aiohttp, is loaded when LiveKit is first called; av and aiortc are the workers'.
NOT_NEEDED = {"aiohttp", "aiortc", "av", "livekit.api", "livekit.rtc", "pandas"}
LOCK = Path(__file__).parents[2] / "requirements" / "run.txt"


async def test_server_when_it_has_answered_then_what_only_others_need_is_not_loaded(tmp_path: Path) -> None:
    async with run_server(tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"}) as server:
        assert (await server.request("GET", "/api/v1/health")).status == 200
    log = (tmp_path / "server.log").read_text("utf-8")
    loaded = {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}
    assert {"quart", "livekit.protocol.room", "streamhub.main"} <= loaded, "the log does not say what was loaded"
    assert loaded & NOT_NEEDED == set()


def test_numpy_which_sqlite_utils_loads_if_it_is_there_then_a_server_has_none() -> None:
    """Developers have it, by LiveKit's SDK in the tests: 0.1 s and ten megabytes of their servers."""
    locked = {line.partition("==")[0] for line in LOCK.read_text("utf-8").splitlines()}
    assert "sqlite-utils" in locked
    assert locked & {"numpy", "pandas"} == set()
