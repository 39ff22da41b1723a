"""Every input on every output: six kinds of source by eight ways to watch, with real clients on both ends.

Each source sends pictures that say which publication and which picture they are (``support/marks.py``), and a tone of
440 Hz. A cell holds if its client shows several different pictures of the present publication, in their order, and
sounds the tone where it can. Then the source stops and comes back, and is killed and comes back: all must play it
again, the pages without being loaded anew. All clients of a row watch at the same time.

There is no wall of ours in this version: the wall is somebody's own page with an ``/embed`` iframe of the room, and one
of another room's camera beside it; both have to move.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.e2e.matrix.eyes import OUTSIDE, PAGES, Eye, found, hls, pages, see
from tests.e2e.matrix.sources import B_FRAMES, H264, H265, NO_B_FRAMES, Row, Source
from tests.e2e.matrix.table import note
from tests.e2e.rooms.conftest import livekit_ready
from tests.support.livekit import livekit_env
from tests.support.server import Server, run_server
from tests.support.waiting import eventually

LIMIT_S = 90.0
NEVER_S = 8.0
ROOM, OTHER, OTHER_LIFE = "yard", "house", 9
ROWS = [
    Row("WebRTC", "webrtc", "VP8"),
    Row("WHIP", "whip", "H.264"),
    Row("RTMP", "rtmp", "H.264 with B-frames", encode=(*H264, *B_FRAMES)),
    Row("RTSP", "rtsp", "H.265", encode=tuple(H265), rtsp="h265-aac16"),
    Row("URL", "url", "H.264", encode=(*H264, *NO_B_FRAMES)),
    Row("camera", "camera", "MJPEG", audio=False),
]
# The same ways in with other codecs.
MORE_ROWS = [
    Row("WebRTC", "webrtc", "H.264"),
    Row("RTMP", "rtmp", "H.264", encode=(*H264, *NO_B_FRAMES)),
    Row("RTSP", "rtsp", "H.264", encode=(*H264, *NO_B_FRAMES), rtsp="h264-g711"),
    Row("URL", "url", "MJPEG", audio=False),
]
OUTPUTS = (*OUTSIDE, *PAGES)
SILENT = {"mjpeg", "frame.jpg", "viewer WS"}
# Cells that are not built yet: kind of source → outputs. Each is checked to show nothing, so that none stays here.
NOT_YET: dict[str, set[str]] = {}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Server]:
    env = livekit_env() | {"STREAMHUB_OUTBOUND_ALLOW": "private,127.0.0.0/8"}
    async with run_server(tmp_path, env=env) as server:
        await livekit_ready(server)
        yield server
        assert "task failed" not in server.log()


def names(rows: list[Row]) -> list[str]:
    return [f"{row.name}-{row.video}".replace(" ", "-") for row in rows]


@pytest.mark.parametrize("row", ROWS, ids=names(ROWS))
async def test_source_then_every_output_plays_it_also_when_it_comes_back(
    hub: Server, tmp_path: Path, row: Row, request: pytest.FixtureRequest
) -> None:
    await plays_everywhere(hub, tmp_path, row, request.config)


@pytest.mark.long
@pytest.mark.parametrize("row", MORE_ROWS, ids=names(MORE_ROWS))
async def test_source_with_another_codec_then_every_output_plays_it_too(
    hub: Server, tmp_path: Path, row: Row, request: pytest.FixtureRequest
) -> None:
    await plays_everywhere(hub, tmp_path, row, request.config)


async def plays_everywhere(hub: Server, folder: Path, row: Row, config: pytest.Config) -> None:
    """The whole of one row; fails with the list of the cells that do not hold."""
    eyes = {name: Eye(name) for name in (*OUTSIDE, "/play", "/embed", f"wall/{ROOM}", f"wall/{OTHER}")}
    columns = {name: eyes.get(name) or eyes[f"wall/{ROOM}"] for name in OUTPUTS}
    wanted = {name: eye for name, eye in columns.items() if name not in NOT_YET.get(row.kind, set())}
    told = {"source": row.name, "video": row.video}
    (folder / OTHER).mkdir()
    source = Source(row, hub, ROOM, folder)
    other = Source(Row("another camera", "camera", "MJPEG"), hub, OTHER, folder / OTHER)
    async with trio.open_nursery() as nursery, aclosing(source), aclosing(other):
        await other.start(OTHER_LIFE)
        await nursery.start(pages, hub, ROOM, [OTHER], eyes)
        for name, watch in (OUTSIDE | {"HLS": partial(hls, sound=row.audio)}).items():
            nursery.start_soon(watch, hub, ROOM, eyes[name])
        for life, ended in ((1, "stopped"), (2, "killed"), (3, "")):
            await source.start(life)
            began = trio.current_time()
            await _see(wanted, life, row)
            failed = _missing(wanted, life, row)
            assert not failed, f"{row.name} ({row.video}), life {life}: {failed}\n{found(eyes.values())}"
            for name, eye in wanted.items():
                told[name] = f"{told.get(name, '')}/{eye.first_at[life] - began:.1f}".lstrip("/")
            assert eyes[f"wall/{OTHER}"].moves(OTHER_LIFE), "the other room on the wall stands still"
            if ended:
                await source.stop(kill=ended == "killed")
            if ended == "stopped":
                await eventually(lambda: _is_over(hub), within_s=60)
        await trio.sleep(0 if len(wanted) == len(columns) else NEVER_S)
        early = [name for name, eye in columns.items() if name not in wanted and any(map(eye.moves, (1, 2, 3)))]
        assert not early, f"built by now, take it out of NOT_YET: {early}"
        await source.stop()
        nursery.cancel_scope.cancel()
    note(config, told | {name: "not yet" for name in columns if name not in wanted})


async def _see(wanted: dict[str, Eye], life: int, row: Row) -> None:
    silent = [eye for name, eye in wanted.items() if name in SILENT or not row.audio]
    sounding = [eye for eye in wanted.values() if eye not in silent]
    async with trio.open_nursery() as nursery:

        async def watch(eyes: list[Eye], sound: bool) -> None:
            await see(eyes, life, LIMIT_S, sound=sound)

        nursery.start_soon(watch, silent, False)
        nursery.start_soon(watch, sounding, True)


def _missing(wanted: dict[str, Eye], life: int, row: Row) -> list[str]:
    failed = [name for name, eye in wanted.items() if not eye.moves(life)]
    if row.audio:
        failed += [f"{n}: no tone" for n, eye in wanted.items() if n not in SILENT and life not in eye.heard]
    return failed


async def _is_over(server: Server) -> bool:
    rows = (await server.request("GET", "/api/v1/apps/live/streams")).data
    return not any(row["room"] == f"live-{ROOM}" and row["status"] == "active" for row in rows)
