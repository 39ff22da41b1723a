"""What a server loads to answer: each library costs its start and its memory."""

from __future__ import annotations

from pathlib import Path

from tests.support.livekit import livekit_env
from tests.support.server import run_server
from tests.support.waiting import eventually

# aiohttp comes with livekit-api, whose messages alone we use; av and aiortc are the workers'.
NOT_NEEDED = {"aiohttp", "aiortc", "av", "livekit.api", "livekit.rtc", "pandas"}
LOCK = Path(__file__).parents[2] / "requirements" / "run.txt"


async def test_server_when_it_has_answered_and_livekit_is_there_then_what_only_others_need_is_not_loaded(
    tmp_path: Path,
) -> None:
    async with run_server(tmp_path, env={**livekit_env(), "PYTHONPROFILEIMPORTTIME": "1"}) as server:

        async def livekit_answers() -> bool:
            answer = await server.request("GET", "/api/v1/health?verbose=1")
            assert answer.status == 200
            return any(check["name"] == "livekit" and check["ok"] is True for check in answer.json()["checks"])

        await eventually(livekit_answers, within_s=30)
    log = (tmp_path / "server.log").read_text("utf-8")
    loaded = {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}
    assert {"quart", "livekit.protocol.room", "streamhub.main"} <= loaded, "the log does not say what was loaded"
    assert loaded & NOT_NEEDED == set()


def test_numpy_which_sqlite_utils_loads_if_it_is_there_then_a_server_has_none() -> None:
    """Developers have it, by LiveKit's SDK in the tests: 0.1 s and ten megabytes of their servers."""
    locked = {line.partition("==")[0] for line in LOCK.read_text("utf-8").splitlines()}
    assert "sqlite-utils" in locked
    assert locked & {"numpy", "pandas"} == set()
