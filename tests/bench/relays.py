"""Relays: CPU and memory of each copied RTMP stream, beside ffmpeg that decodes and encodes the same.

1 to 24 encoders publish 720p30 of about 2 Mbit/s (H.264, AAC) at once; each stream goes into LiveKit, then to HLS too.
A stream's share is its worker and publisher; the main process (which parses RTMP) and livekit-server are told apart.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.bench import contenders
from tests.bench.contenders import Contender, free_port
from tests.bench.figures import cpu_seconds, load, save, table
from tests.bench.native import LOAD_CORE, build, on_core
from tests.bench.runs import Bench
from tests.support.livekit import children, livekit_env, livekit_pids

QUIET = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error"]
START_S = 90.0


def make_clip(
    folder: Path, name: str = "clip", *, gop: int = 30, b_frames: int = 0, size: str = "1280x720", mbits: int = 2
) -> Path:
    """20 s of 30 pictures a second, a key frame every ``gop`` of them; AAC at 48 kHz."""
    file = folder / f"{name}.flv"
    picture = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30"]
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-bf", str(b_frames), "-g", str(gop)]
    most = f"{mbits}M"
    rate = ["-b:v", most, "-maxrate", most, "-bufsize", most, "-pix_fmt", "yuv420p"]
    sound = ["-c:a", "aac", "-b:a", "128k", "-t", "20", str(file)]
    subprocess.run([*QUIET, *picture, *tone, *coded, *rate, *sound], check=True)
    return file


@contextmanager
def site(folder: Path) -> Iterator[Contender]:
    """StreamHub with a livekit-server of its own and RTMP, not bound to a core: relays are to use all of them."""
    env = {**livekit_env(), "STREAMHUB_RTMP_BIND": f"127.0.0.1:{free_port()}"}
    with contenders.ours(folder, env=env, core=None) as us:
        deadline = time.monotonic() + START_S
        while not livekit_pids(us.pid):
            assert time.monotonic() < deadline, "livekit-server did not start"
            time.sleep(0.1)
        yield us


@contextmanager
def publishing(us: Contender, clip: Path, count: int) -> Iterator[list[str]]:
    """So many encoders at once, on the load's core; the rooms, once all streams run."""
    made = []
    for n in range(count):
        room = f"relay{count}x{n}"
        made.append((room, us.call("POST", "/api/v1/apps/live/ingress", {"room": room, "inputType": "rtmp"})))
    source = ["-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "flv"]
    encoders = [subprocess.Popen(on_core(LOAD_CORE, [*QUIET, *source, row["rtmp_url"]])) for _, row in made]
    try:
        deadline = time.monotonic() + START_S
        waiting = {row["ingressId"] for _, row in made}
        while waiting:
            rows = us.call("GET", "/api/v1/apps/live/ingress?limit=500")
            waiting -= {row["ingressId"] for row in rows if row["state"] == "live"}
            assert time.monotonic() < deadline, f"{len(waiting)} of {count} streams do not run"
            time.sleep(0.2)
        yield [room for room, _ in made]
    finally:
        for encoder in encoders:
            encoder.kill()
            encoder.wait()
        for _, row in made:
            us.call("DELETE", f"/api/v1/apps/live/ingress/{row['ingressId']}")


@contextmanager
def watched(us: Contender, rooms: Sequence[str]) -> Iterator[None]:
    """Somebody reads the rooms' HLS playlists; each has its first segment when the block begins."""
    stop = threading.Event()

    def read(room: str) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{us.port}/hls/live/{room}/index.m3u8", timeout=30) as answer:
            answer.read()

    def keep_reading() -> None:
        while not stop.wait(2):
            for room in rooms:
                with suppress(OSError):
                    read(room)

    for room in rooms:
        read(room)
    thread = threading.Thread(target=keep_reading)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def workers(us: Contender) -> list[int]:
    """The processes of all relays: workers and the publishers below them."""
    livekit = set(livekit_pids(us.pid))
    below = [pid for pid in children(us.pid) if not livekit & set(children(pid))]
    return [*below, *(grandchild for pid in below for grandchild in children(pid))]


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def used(pids: Sequence[int], seconds: float) -> dict[int, float]:
    """Per cent of a core that each process uses."""
    before = {pid: cpu_seconds(pid) for pid in pids}
    began = time.monotonic()
    time.sleep(seconds)
    spent = time.monotonic() - began
    return {pid: (cpu_seconds(pid) - before[pid]) / spent * 100 for pid in pids}


def measure(us: Contender, rooms: Sequence[str], outputs: str, seconds: float) -> dict[str, Any]:
    """One row: what a stream costs while all of them run."""
    time.sleep(2)  # the start is over
    relays, livekit = workers(us), livekit_pids(us.pid)
    per_cent = used([us.pid, *relays, *livekit], seconds)
    count = len(rooms)
    row = {
        "streams": count,
        "outputs": outputs,
        "cpu": sum(per_cent[pid] for pid in relays) / count,
        "rss_mb": sum(resident_mb(pid) for pid in relays) / count,
        "main_cpu": per_cent[us.pid] / count,
        "livekit_cpu": sum(per_cent[pid] for pid in livekit) / count,
    }
    print(f"  {count} streams, {outputs}: {row['cpu']:.1f} % of a core each", file=sys.stderr, flush=True)
    return row


def encoded(us: Contender, folder: Path, seconds: float) -> list[dict[str, Any]]:
    """Sources whose pictures have to be encoded for WebRTC, each beside ffmpeg that does the same."""
    found = []
    for name, size, mbits in (("720p30", "1280x720", 2), ("1080p30", "1920x1080", 6)):
        clip = make_clip(folder, name, b_frames=2, size=size, mbits=mbits)
        with publishing(us, clip, 1) as rooms:
            found.append(measure(us, rooms, f"{name} with B-frames: WebRTC", seconds))
            with watched(us, rooms):
                found.append(measure(us, rooms, f"{name} with B-frames: WebRTC and HLS", seconds))
        found.append(transcoding(clip, seconds) | {"outputs": f"{name} with B-frames: ffmpeg, decode and encode"})
    return found


def transcoding(clip: Path, seconds: float) -> dict[str, Any]:
    """The peer: ffmpeg decodes and encodes one such stream (x264 ultrafast without delay, Opus)."""
    coded = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-g",
        "30",
        "-c:a",
        "libopus",
        "-ac",
        "2",
    ]
    source = ["-re", "-stream_loop", "-1", "-i", str(clip)]
    with subprocess.Popen([*QUIET, *source, *coded, "-f", "null", "-"]) as encoder:
        time.sleep(2)
        cpu, rss = used([encoder.pid], seconds)[encoder.pid], resident_mb(encoder.pid)
        encoder.kill()
    print(f"  ffmpeg, decode and encode: {cpu:.1f} % of a core", file=sys.stderr, flush=True)
    return {
        "streams": 1,
        "outputs": "ffmpeg: decode and encode",
        "cpu": cpu,
        "rss_mb": rss,
        "main_cpu": 0.0,
        "livekit_cpu": 0.0,
    }


@contextmanager
def hls_site(bench: Bench) -> Iterator[tuple[Contender, Any, Path]]:
    """A stream in HLS; with it what gives the paths of playlist and newest segment, and a folder with both."""
    root = bench.folder / "hls-files"
    folder = Path(tempfile.mkdtemp(dir=bench.folder))
    env = {**livekit_env(), "STREAMHUB_RTMP_BIND": f"127.0.0.1:{free_port()}"}
    with contenders.ours(folder, env=env) as us, publishing(us, make_clip(folder), 1) as (room,), watched(us, [room]):

        def fetch(path: str) -> bytes:
            with urllib.request.urlopen(f"http://127.0.0.1:{us.port}{path}", timeout=20) as answer:
                content: bytes = answer.read()
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (root / path[1:]).write_bytes(content)
            return content

        def paths() -> list[str]:
            playlist = f"/hls/live/{room}/index.m3u8"
            names = [line for line in fetch(playlist).decode().splitlines() if line and not line.startswith("#")]
            segment = f"/hls/live/{room}/{names[-1]}"
            fetch(segment)
            return [playlist, segment]

        yield us, paths, root


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench relays", description=__doc__)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 12, 24], help="how many at once (1 4 12 24)")
    parser.add_argument("--encoded", action="store_true", help="sources with B-frames, one at a time, instead")
    parser.add_argument("--seconds", type=float, default=20, help="how long each is measured (20)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    asked = parser.parse_args()
    build()
    before, rows = load(), []
    with tempfile.TemporaryDirectory(prefix="streamhub-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        us = stack.enter_context(site(folder / "hub"))
        if asked.encoded:
            rows += encoded(us, folder, asked.seconds)
            asked.streams = []
        clip = make_clip(folder)
        rows.append(transcoding(clip, asked.seconds))
        for count in asked.streams:
            with publishing(us, clip, count) as rooms:
                rows.append(measure(us, rooms, "WebRTC", asked.seconds))
                with watched(us, rooms):
                    rows.append(measure(us, rooms, "WebRTC and HLS", asked.seconds))
    head = ("Streams", "To", "% of a core each", "RSS MB each", "main process, % each", "livekit-server, % each")
    figures = ("cpu", "rss_mb", "main_cpu", "livekit_cpu")
    shown = [(str(row["streams"]), row["outputs"], *(f"{row[key]:.1f}" for key in figures)) for row in rows]
    print(f"load of the machine: {before} before, {load()} after\n\n{table([head, *shown])}")
    save(asked.json, "relays", {"rows": rows})


if __name__ == "__main__":
    main()
