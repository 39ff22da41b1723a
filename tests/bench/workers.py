"""What it costs to pass the sending on: one room, the server alone and with viewer workers, in the same run.

All processes of a server are on its one core and are accounted together: this is the price, not the gain. What a worker
does on a core of its own, the server's core need not do.
"""

from __future__ import annotations

import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import attrs

from tests.bench import contenders
from tests.bench.runs import Bench
from tests.support.livekit import children

MOST_RATIO = 1.2


def started(bench: Bench, stack: ExitStack, wanted: int) -> contenders.Contender:
    """StreamHub with so many workers, all of them up."""
    env = {"STREAMHUB_VIEWER_WORKERS": str(wanted)}
    one = stack.enter_context(contenders.ours(Path(tempfile.mkdtemp(dir=bench.folder)), env=env))
    name = one.name if wanted == 0 else f"{one.name}, {wanted} worker{'s' * (wanted > 1)}"
    asked = urllib.request.Request(
        f"http://127.0.0.1:{one.port}/metrics", headers={"Authorization": f"Bearer {one.token}"}
    )
    deadline = time.monotonic() + contenders.START_S
    while True:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            if f"\nstreamhub_viewer_workers {wanted}.0\n".encode() in answer.read():
                break
        if time.monotonic() > deadline:
            raise RuntimeError("its viewer workers do not come up")
        time.sleep(0.1)
    return attrs.evolve(one, name=name, helpers=tuple(children(one.pid)))


def workers(bench: Bench) -> None:
    """One room of 500, 1 000 and 2 000 viewers with 0, 1 and 2 viewer workers."""
    with ExitStack() as stack:
        alone, *others = [started(bench, stack, wanted) for wanted in (0, 1, 2)]
        for count in (500, 1000, 2000):
            n = bench.sized(count)
            rows = bench.in_turn(f"{n} viewers, one room, workers", [alone, *others], "-v", n)
            for other in others:
                what = f"CPU per frame, {n} viewers, {other.name} to none"
                bench.ratio(what, rows[other.name], rows[alone.name], "us_per_frame", MOST_RATIO)
