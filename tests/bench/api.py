"""Snapshots, REST, HLS and start-up beside nginx and a bare route, asked by wrk in the same run."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.bench import contenders
from tests.bench.contenders import SIZE, Contender
from tests.bench.figures import cpu_seconds
from tests.bench.native import BUILT, LOAD_CORE, on_core, wrk
from tests.bench.relays import hls_site
from tests.bench.runs import GENERATOR_LIMIT, NOISY, Bench, apart

MINT = json.dumps({"room": "cam0", "identity": "bench"})
Ask = Callable[[], dict[str, Any]]


def compare(bench: Bench, what: str, asks: dict[str, Ask], peer: str, least: float, *, per_core: bool = False) -> None:
    """Requests a second of each, in turn; the first is ours, and is to reach ``least`` times the peer's.

    ``per_core``: the requests that a core's time is good for are compared, not those that came: the generator, or
    others on the machine, may have been the limit.
    """
    found: dict[str, list[float]] = {name: [] for name in asks}
    costs: dict[str, list[float]] = {name: [] for name in asks}
    for n in range(bench.rounds):
        for name in asks if n % 2 == 0 else reversed(asks):
            got = asks[name]()
            assert got["requests"] > got["refused"] == 0, f"{what}, {name}: {got}"
            found[name].append(got["per_s"])
            costs[name].append(got["us"])
            bench.say(f"  {what}: {name}: {got['per_s']:.0f}/s, {got['us']:.0f} µs of CPU, p99 {got['p99_ms']:.1f} ms")
            if got["generator_cpu"] > GENERATOR_LIMIT:
                bench.note(f"{what}, {name}: the generator was the limit ({got['generator_cpu']:.0%} of its core)")
    if (spread := apart((costs if per_core else found)[peer])) > NOISY:
        bench.note(f"{what}: too noisy, the rounds of {peer} are {spread:.0%} apart")
    us = next(iter(asks))
    mine, theirs = statistics.median(found[us]), statistics.median(found[peer])
    cpu = f"{statistics.median(costs[us]):.0f} to {statistics.median(costs[peer]):.0f} µs of CPU"
    detail = f"{mine:.0f} to {theirs:.0f} a second, {cpu}"
    ratio = mine / theirs
    if per_core:
        ratio = statistics.median(costs[peer]) / statistics.median(costs[us])
    bench.target(f"{what}, {'per core, ' if per_core else ''}to {peer}", ratio, f"≥ {least:g}", ratio >= least, detail)


@contextmanager
def camera(us: Contender) -> Iterator[None]:
    """A camera of 15 fps in the first room, on the load's core; its picture is there when the block begins."""
    command = [str(BUILT / "load"), "-p", str(us.port), "-k", str(us.keys), "-d", "3600"]
    running = subprocess.Popen(on_core(LOAD_CORE, command), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{us.port}/live/live/cam0/frame.jpg", timeout=5):
                    break
            except OSError:  # 503 until there is one
                time.sleep(0.05)
        yield
    finally:
        running.kill()
        running.wait()


def snapshots(bench: Bench) -> None:
    """frame.jpg as fast as it is answered, beside nginx with a file of that size."""
    if bench.missing("wrk", "Debian: wrk") or bench.missing("nginx", "Debian: nginx-light"):
        return
    root = bench.folder / "www"
    root.mkdir(exist_ok=True)
    (root / "frame.jpg").write_bytes(b"\xff\xd8" + bytes(SIZE - 2))
    with ExitStack() as stack:
        us = stack.enter_context(contenders.ours(Path(tempfile.mkdtemp(dir=bench.folder))))
        nginx = stack.enter_context(contenders.nginx(bench.folder / "nginx", root))
        stack.enter_context(camera(us))
        asks: dict[str, Ask] = {
            "streamhub": lambda: wrk(us, ["/live/live/cam0/frame.jpg"], bench.seconds),
            "nginx": lambda: wrk(nginx, ["/frame.jpg"], bench.seconds),
        }
        compare(bench, "frame.jpg", asks, "nginx", 0.3)


def rest(bench: Bench) -> None:
    """An authenticated read and a join token, beside a bare Quart-Trio route."""
    if bench.missing("wrk", "Debian: wrk"):
        return
    with ExitStack() as stack:
        us = stack.enter_context(contenders.ours(Path(tempfile.mkdtemp(dir=bench.folder))))
        bare = stack.enter_context(contenders.quart(bench.folder))
        read: dict[str, Ask] = {
            "streamhub": lambda: wrk(us, ["/api/v1/apps/live"], bench.seconds),
            "a bare Quart-Trio route": lambda: wrk(bare, ["/bare"], bench.seconds),
        }
        compare(bench, "REST read", read, "a bare Quart-Trio route", 0.5)
        path = "/api/v1/apps/live/tokens"
        mint: dict[str, Ask] = {
            "streamhub": lambda: wrk(us, [path], bench.seconds, method="POST", body=MINT),
            "a bare Quart-Trio route": lambda: wrk(bare, ["/bare"], bench.seconds, method="POST", body=MINT),
        }
        compare(bench, "join token", mint, "a bare Quart-Trio route", 0.5)


def hls(bench: Bench) -> None:
    """HLS viewers: a playlist and a segment in turn, beside nginx with the same files.

    What we spend on the stream itself meanwhile (reading RTMP, taking segments in) is measured before and taken off:
    nginx has no stream to read.
    """
    if bench.missing("wrk", "Debian: wrk") or bench.missing("nginx", "Debian: nginx-light"):
        return
    if bench.missing("ffmpeg", "Debian: ffmpeg"):
        return
    with ExitStack() as stack:
        us, paths, root = stack.enter_context(hls_site(bench))
        nginx = stack.enter_context(contenders.nginx(bench.folder / "nginx-hls", root))
        spent, began = cpu_seconds(us.pid), time.monotonic()
        time.sleep(max(2.0, bench.seconds))
        idle = (cpu_seconds(us.pid) - spent) / (time.monotonic() - began)
        asks: dict[str, Ask] = {
            "streamhub": lambda: wrk(us, paths(), min(bench.seconds, 4), idle=idle),
            "nginx": lambda: wrk(nginx, paths(), min(bench.seconds, 4)),
        }
        compare(bench, "HLS playlist and segment", asks, "nginx", 0.5, per_core=True)


def start(bench: Bench) -> None:
    """From the command to the first answer of /api/v1/health."""
    taken = []
    for _ in range(bench.rounds):
        with contenders.ours(Path(tempfile.mkdtemp(dir=bench.folder))) as us:
            taken.append(us.started_s)
    value = statistics.median(taken)
    bench.target("seconds until health answers", value, "≤ 1.5", value <= 1.5)
