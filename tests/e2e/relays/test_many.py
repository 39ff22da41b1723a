"""As many relays as a small machine is promised to carry, and one more than it may."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.e2e.matrix.census import count
from tests.e2e.matrix.table import tell
from tests.e2e.relays.conftest import ffmpeg, has_state, make_ingress
from tests.e2e.rooms.conftest import livekit_ready
from tests.e2e.whip.conftest import stream_types, viewer_of
from tests.support.livekit import livekit_env
from tests.support.rtc import rtc_peer
from tests.support.server import Server, run_server
from tests.support.waiting import eventually

MANY, MEASURED_S = 24, 30.0
SAMPLED, SAMPLE_S = 6, 5.0
LEAST_FPS = 5  # a busy machine loses pictures, but not nearly all
CLIP = "-f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 12"
CODECS = "-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 30 -b:v 2M -maxrate 2M -bufsize 2M"


@pytest.fixture
async def hub(tmp_path: Path, most: int) -> AsyncIterator[Server]:
    """With so many relays at most."""
    async with run_server(tmp_path, env=livekit_env() | {"STREAMHUB_MAX_RELAYS": str(most)}) as server:
        await livekit_ready(server)
        yield server
        assert "task failed" not in server.log()


@pytest.mark.parametrize("most", [1])
async def test_relay_beyond_the_most_then_it_is_refused_by_the_settings_name_and_begins_when_there_is_room(
    hub: Server, tmp_path: Path
) -> None:
    clip = await _clip(tmp_path, seconds=2, size="320x240")
    first, second = await make_ingress(hub), await make_ingress(hub, room="door")
    copy = ["-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "flv"]
    async with ffmpeg(*copy, first["rtmp_url"]) as encoder:
        await has_state(hub, first["ingressId"], "publishing")
        process = await trio.run_process(
            ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "debug", *copy, second["rtmp_url"]],
            check=False,
            capture_stderr=True,
        )
        assert process.returncode != 0
        assert b"STREAMHUB_MAX_RELAYS" in process.stderr, "the encoder is told"
        assert "STREAMHUB_MAX_RELAYS" in hub.log()
        pull = await make_ingress(hub, "rtsp", room="gate", url="rtsp://10.0.0.1/main")
        row = await has_state(hub, pull["ingressId"], "error")
        assert "STREAMHUB_MAX_RELAYS" in row["lastError"]
        gone = await hub.request("DELETE", f"/api/v1/apps/live/ingress/{pull['ingressId']}")
        assert gone.status == 200
        encoder.terminate()
        await encoder.wait()
    await has_state(hub, first["ingressId"], "inactive")
    async with ffmpeg(*copy, second["rtmp_url"]):
        await has_state(hub, second["ingressId"], "publishing")


@pytest.mark.long
@pytest.mark.parametrize("most", [MANY])
async def test_many_copied_relays_on_a_small_machine_then_all_flow_and_one_more_is_refused(
    hub: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    clip = await _clip(tmp_path, seconds=12, size="1280x720")
    made = [await make_ingress(hub, room=f"room{n}") for n in range(MANY + 1)]
    outputs = "|".join(f"[f=flv:onfail=ignore]{one['rtmp_url']}" for one in made[:MANY])
    words = ["-re", "-stream_loop", "-1", "-i", str(clip), "-map", "0", "-c", "copy", "-flags", "+global_header"]
    async with ffmpeg(*words, "-f", "tee", outputs):

        async def all_flow() -> bool:
            rows = (await hub.request("GET", "/api/v1/apps/live/ingress?limit=100")).data
            return sum(row["status"] == "publishing" for row in rows) == MANY

        await eventually(all_flow, within_s=180)
        async with ffmpeg("-re", "-i", str(clip), "-c", "copy", "-f", "flv", made[MANY]["rtmp_url"]) as refused:
            with trio.fail_after(30):
                assert await refused.wait() != 0
        before, began = count(hub), trio.current_time()
        await trio.sleep(MEASURED_S)
        after, seconds = count(hub), trio.current_time() - began
        rates = [await _rate(hub, f"room{n}") for n in range(0, MANY, MANY // SAMPLED)]
        rows = (await hub.request("GET", "/api/v1/apps/live/streams?limit=100")).data
        told = sorted(round(row["fps"] or 0) for row in rows)
        tell(
            request.config,
            f"{MANY} relays of 720p30 2 Mbit/s, copied: {after.shares(before, seconds)}; decoded by a subscriber of "
            f"{SAMPLED} of them, one at a time: {', '.join(f'{rate:.0f}' for rate in rates)} fps; by the API: {told}",
        )
        assert all(rate > LEAST_FPS for rate in rates), "one that publishes but hardly sends"
        assert len(await stream_types(hub)) >= 1
        assert await all_flow()
    await eventually(lambda: count(hub).processes == 3, within_s=60)


async def _rate(server: Server, room: str) -> float:
    """Pictures a second that LiveKit's SDK decodes of it."""
    async with rtc_peer(*await viewer_of(server, room)) as peer:
        await peer.said("frames", within_s=90, count=1)
        await peer.do("count")
        first = await peer.said("counted", within_s=30)
        await trio.sleep(SAMPLE_S)
        await peer.do("count")
        last = await peer.said("counted", within_s=30, nth=2)
        return float((last["frames"] - first["frames"]) / (last["at"] - first["at"]))


async def _clip(folder: Path, *, seconds: int, size: str) -> Path:
    """As an encoder would send it."""
    file = folder / "clip.flv"
    inputs = CLIP.replace("1280x720", size).replace("-t 12", f"-t {seconds}")
    command = f"ffmpeg -hide_banner -loglevel error -nostdin {inputs} {CODECS} -c:a aac -ac 2 -f flv {file}"
    await trio.run_process(command.split(), stdin=subprocess.DEVNULL)
    return file
