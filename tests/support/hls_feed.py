"""HLS segments as a relay worker writes them, made by ffmpeg from a moving test picture with a tone."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime

import trio

from streamhub.rooms.hls import HlsStart, HlsStream
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import Segment

FPS = 15
SIZE = (320, 240)
GOP_S = 1
LOOK_S = 0.1
_ENTRY = re.compile(r"#EXTINF:([\d.]+),\n#EXT-X-PROGRAM-DATE-TIME:(\S+)\n(\S+)")


async def feed_room(room: Room) -> None:
    """Make the room's HLS while it is wanted, until cancelled."""

    async def one(stream: HlsStream) -> None:
        while True:
            await stream.wanted()
            async with stream.serving() as start, trio.open_nursery() as nursery:
                nursery.start_soon(_make, stream, start)
                await stream.unwanted()
                nursery.cancel_scope.cancel()

    with room.hls.offered():
        async with trio.open_nursery() as nursery:
            for stream in room.hls.streams.values():
                nursery.start_soon(one, stream)


async def _make(stream: HlsStream, start: HlsStart) -> None:
    own_list = start.folder / "own.m3u8"
    fmp4 = start.container == "fmp4"
    init = f"{start.prefix}_init_0.mp4" if fmp4 else None
    command = [
        *("ffmpeg", "-v", "error", "-nostdin", "-re"),
        *("-f", "lavfi", "-i", f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate={FPS}"),
        *("-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"),
        *(
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-pix_fmt",
            "yuv420p",
            "-g",
            str(FPS * GOP_S),
        ),
        *("-c:a", "aac", "-f", "hls", "-hls_time", str(start.segment_s), "-hls_list_size", "20"),
        *("-hls_flags", "program_date_time+temp_file", "-hls_segment_type", "fmp4" if fmp4 else "mpegts"),
        *(("-hls_fmp4_init_filename", init) if init else ()),
        *("-hls_segment_filename", str(start.folder / f"{start.prefix}_%d.{'m4s' if fmp4 else 'ts'}"), str(own_list)),
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run, command)
        told: set[str] = set()
        while True:
            for duration, at, name in _ENTRY.findall(own_list.read_text()) if own_list.exists() else []:
                if name in told:
                    continue
                told.add(name)
                segment = Segment(
                    id="hls",
                    name=name,
                    number=int(re.findall(r"_(\d+)\.", name)[0]),
                    duration_s=float(duration),
                    at_ms=int(datetime.strptime(at, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() * 1000),
                    bytes=(start.folder / name).stat().st_size,
                    init=init,
                )
                await stream.feed(segment)
            await trio.sleep(LOOK_S)


async def _run(command: list[str]) -> None:
    await trio.run_process(command, stdin=subprocess.DEVNULL)
    raise AssertionError("ffmpeg has ended by itself")
