"""Viewers, cameras, snapshots and the API beside their peers, in the same run: the table of docs/performance.md.

The server runs on one core, the generator on another. Rounds are interleaved and medians shown; ratios are what
counts. `--quick` takes two minutes and says little; the whole takes half an hour and wants the machine for itself.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.bench import api, contenders, report, workers
from tests.bench.figures import save
from tests.bench.native import LOAD_CORE, SERVER_CORE, build
from tests.bench.runs import Bench, Row, carries

NEARLY = 0.1  # missed by whoever may try once more to carry so many viewers
SEND, SENDFILE, OURS = "C limit, send", "C limit, sendfile", "streamhub"


def limits(bench: Bench, stack: ExitStack, *modes: str) -> list[contenders.Contender]:
    return [stack.enter_context(contenders.limit(bench.folder, mode)) for mode in modes or ("send", "sendfile")]


def start(bench: Bench, stack: ExitStack, rooms: int = 1) -> contenders.Contender:
    return stack.enter_context(contenders.ours(Path(tempfile.mkdtemp(dir=bench.folder)), rooms))


def peers(bench: Bench, stack: ExitStack) -> list[contenders.Contender]:
    """Other programs with the same task, as far as they are here."""
    found = [stack.enter_context(contenders.quart(bench.folder))]
    if not bench.missing("ustreamer", "Debian: ustreamer"):
        found.append(stack.enter_context(contenders.ustreamer(bench.folder)))
    if not bench.missing("go2rtc", "no package in Debian"):
        found.append(stack.enter_context(contenders.go2rtc(bench.folder)))
    return found


def viewers(bench: Bench) -> None:
    """One room: CPU and delay of each picture delivered, from 10 viewers to thousands; viewer sockets beside them."""
    with ExitStack() as stack:
        us, both, others = start(bench, stack), limits(bench, stack), peers(bench, stack)
        for count in (10, 100, 500, 2000):
            n = bench.sized(count)
            rows = bench.in_turn(f"{n} viewers, one room", [us, *both], "-v", n, judged=count == 500)
            if count == 100:
                for peer in others:
                    run = bench.once(f"{n} viewers, one room", peer, "-v", n)
                    bench.keep(f"{n} viewers, one room", peer.name, [run])
            if count == 500:
                ours, send, sendfile = rows[OURS], rows[SEND], rows[SENDFILE]
                bench.ratio("CPU per frame, 500 viewers, to C send", ours, send, "us_per_frame", 1.2)
                bench.ratio("CPU per frame, 500 viewers, to C sendfile", ours, sendfile, "us_per_frame", 1.5)
                bench.ratio("p99, 500 viewers, to C send", ours, send, "p99_ms", 2.5)
                us.path = "/live/ws?app=live&room=%r"
                bench.in_turn(f"{n} viewer sockets, one room", [us], "-v", n, "-W")
                us.path = "/live/live/%r/mjpeg"


def most(bench: Bench) -> None:
    """How many viewers of one room each carries: < 1 % missed, p99 ≤ 250 ms. Searched in steps, by turns.

    Runs are twice as long as others: of 75 pictures the one that a stall of the host costs everybody is 1.3 %. And
    whoever nearly carries a step tries it once more.
    """
    with ExitStack() as stack:
        large = [round(n * bench.scale) for n in range(1000, 12001, 500)]
        small = [round(n * bench.scale) for n in range(200, 5001, 400)]
        grids = {c.name: (c, large) for c in [start(bench, stack), *limits(bench, stack)]}
        grids |= {c.name: (c, small) for c in peers(bench, stack)}
        found = {name: (0, len(grid)) for name, (_, grid) in grids.items()}  # so many steps are carried, all are not
        runs: dict[str, Row] = {}
        options = ("-b", 300, "-j", 60)
        while any(low < high for low, high in found.values()):
            for name, (contender, grid) in grids.items():
                low, high = found[name]
                if low >= high:
                    continue
                step = (low + high + 1) // 2
                for case in (f"{grid[step - 1]} viewers", f"{grid[step - 1]} viewers, once more"):
                    run = bench.once(case, contender, *options, "-v", grid[step - 1], seconds=2 * bench.seconds)
                    if carries(run) or run["missed"] >= NEARLY:
                        break
                found[name] = (step, high) if carries(run) else (low, step - 1)
                if carries(run):
                    runs[name] = run
        carried = {name: grid[found[name][0] - 1] if found[name][0] else 0 for name, (_, grid) in grids.items()}
        for name, run in runs.items():
            bench.keep("most viewers of one room", name, [run])
            if found[name][0] == len(grids[name][1]):
                bench.note(f"{name} carries the most that is tried, {carried[name]} viewers")
        value = carried[OURS] / carried[SEND] if carried[SEND] else 0.0
        bench.target("most viewers, to C send", value, "≥ 1", value >= 1, f"{carried[OURS]} to {carried[SEND]}")
        for name in ("ustreamer", "Quart generator", "go2rtc"):
            if carried.get(name):
                value = carried[OURS] / carried[name]
                wanted = "≥ 3" if name == "ustreamer" else "> 1"
                met = value >= 3 if name == "ustreamer" else value > 1
                bench.target(f"most viewers, to {name}", value, wanted, met, f"{carried[OURS]} to {carried[name]}")


def rooms(bench: Bench) -> None:
    """100 rooms with 5 viewers each."""
    n = bench.sized(100)
    with ExitStack() as stack:
        contended = [start(bench, stack, n), *limits(bench, stack, "send")]
        rows = bench.in_turn(f"{n} rooms × 5 viewers", contended, "-c", n, "-v", 5 * n, judged=True)
        bench.ratio("CPU per frame, 100 rooms × 5, to C send", rows[OURS], rows[SEND], "us_per_frame", 2.3)


def cameras(bench: Bench) -> None:
    """Cameras at 15 pictures a second that nobody watches; and as small devices send, a few kilobytes each 6 ms."""
    with ExitStack() as stack:
        us, (send,) = start(bench, stack, bench.sized(1000)), limits(bench, stack, "send")
        for count in (1, 100, 615, 800, 1000):
            n = bench.sized(count)
            rows = bench.in_turn(f"{n} cameras, 15 fps", [us, send], "-c", n, "-v", 0)
            if count == 800:
                row = rows[OURS]
                sent = sum(r["sent"] + r["skipped"] for r in row["rounds"])
                part = row["skipped"] / sent if sent else 1.0
                all_there = all(r["dead_cameras"] == 0 and not r["late"] for r in row["rounds"])
                detail = f"server {row['server_cpu']:.0%} of its core" + ("" if all_there else ", cameras were lost")
                bench.target("800 cameras at 15 fps, part of the frames skipped", part, "< 0.01", part < 0.01, detail)
        n = bench.sized(615)
        bench.in_turn(f"{n} cameras, 10 fps, each picture in 5 pieces", [us, send], "-c", n, "-v", 0, "-f", 10, "-n", 5)


def mixed(bench: Bench) -> None:
    """615 cameras at 10 fps, 200 viewers, and REST calls beside them."""
    n, v = bench.sized(615), bench.sized(200)
    with ExitStack() as stack:
        us = start(bench, stack, n)
        case, options = f"{n} cameras at 10 fps, {v} viewers", ("-c", n, "-v", v, "-f", 10)
        with contenders.Probe(us, "/api/v1/apps/live") as small:
            rows = [bench.once(case, us, *options) for _ in range(bench.rounds)]
        row = bench.keep(case, OURS, rows)
        bench.target(f"{case}: part missed", row["missed"], "< 0.01", row["missed"] < 0.01, f"{row['skipped']} skipped")
        steady, coming = small.within([r["window"] for r in rows])
        report.delay(bench, f"REST p99 beside {case}", steady, 50)
        report.delay(bench, "REST p99 while they all come, and go", coming, None)
        for path in ("/api/v1/apps/live/streams?limit=500", "/metrics"):
            with contenders.Probe(us, path, every_s=0.25) as large:
                run = bench.once(f"{path} beside {case}", us, *options)
            steady, _ = large.within([run["window"]])
            report.delay(bench, f"GET {path}, {large.size / 1000:.0f} KB, p99 beside {case}", steady, None)


def slow(bench: Bench) -> None:
    """20 readers at 80 KB/s beside 100 normal ones."""
    n, s = bench.sized(100), bench.sized(20)
    with ExitStack() as stack:
        contended = [start(bench, stack), *limits(bench, stack, "send")]
        if not bench.missing("ustreamer", "Debian: ustreamer"):
            contended.append(stack.enter_context(contenders.ustreamer(bench.folder)))
        rows = bench.in_turn(f"{n} viewers beside {s} slow ones", contended, "-v", n, "-s", s, "-w", 4)
        us = rows[OURS]
        bench.target("slow readers: normal ones miss", us["missed"], "0", us["missed"] == 0)
        behind = us["slow_age_ms"] / 1000
        bench.target("slow readers: seconds behind, mean", behind, "≤ 1", 0 < behind <= 1)


def storms(bench: Bench) -> None:
    """Everybody comes at once: seconds until all have a picture, or are let in."""
    v, c = bench.sized(1000), bench.sized(615)
    with ExitStack() as stack:
        contended = [start(bench, stack, c), *limits(bench, stack, "send")]
        bench.in_turn(f"{v} viewers come at once", contended, "-v", v, "-b", v)
        bench.in_turn(f"{c} cameras come at once", contended, "-c", c, "-v", 0, "-b", c)


def memory(bench: Bench) -> None:
    """A fresh server's memory, and what 2 000 viewers add."""
    n = bench.sized(2000)
    with ExitStack() as stack:
        us = start(bench, stack)
        idle = bench.once("memory, one viewer", us, "-v", 1, seconds=1)
        full = bench.once(f"memory, {n} viewers", us, "-v", n, seconds=3)
        bench.keep("memory, one viewer", OURS, [idle])
        bench.keep(f"memory, {n} viewers", OURS, [full])
        each = (full["rss_mb"] - idle["rss_mb"]) * 1024 / (n - 1)
        wanted = 100 + 12 * n / 1024
        detail = f"{idle['rss_mb']:.0f} MB with one, {each:.1f} KB a viewer more"
        bench.target(f"RSS with {n} viewers, MB", full["rss_mb"], f"≤ {wanted:.0f}", full["rss_mb"] <= wanted, detail)


CASES: dict[str, tuple[Callable[[Bench], None], float]] = {  # and about how many minutes the whole takes
    "viewers": (viewers, 4.5),
    "most": (most, 10),
    "rooms": (rooms, 1),
    "workers": (workers.workers, 4),
    "cameras": (cameras, 5.5),
    "mixed": (mixed, 1),
    "slow": (slow, 1.8),
    "storms": (storms, 1.5),
    "memory": (memory, 0.5),
    "snapshots": (api.snapshots, 0.8),
    "rest": (api.rest, 1.5),
    "hls": (api.hls, 1),
    "start": (api.start, 0.2),
}

MOST_MINUTES = 40  # a case that was too noisy is run again if that leaves the whole below this


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of: {' '.join(CASES)} (all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, once: does it work?")
    parser.add_argument("--rounds", type=int, help="rounds of each (3)")
    parser.add_argument("--seconds", type=float, help="measured in each run (5)")
    parser.add_argument("--minutes", type=float, help="begin no case after so many")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are: {' '.join(CASES)}")
    names = asked.cases or list(CASES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers it has started end with it
    build()
    with tempfile.TemporaryDirectory(prefix="streamhub-bench-") as folder:
        bench = Bench(Path(folder), seconds=5, rounds=3)
        if asked.quick:
            bench.seconds, bench.rounds, bench.scale = 1, 1, 0.02
        bench.seconds, bench.rounds = asked.seconds or bench.seconds, asked.rounds or bench.rounds
        if asked.minutes:
            bench.until = time.monotonic() + asked.minutes * 60
        minutes = sum(CASES[name][1] for name in names)
        bench.say(
            f"about {2 if asked.quick else minutes:.0f} minutes; server on core {SERVER_CORE}, generator on {LOAD_CORE}"
        )
        if SERVER_CORE == LOAD_CORE:
            bench.note("there is one core: server and generator share it, and the figures say little")
        before, failed, began = report.where(), False, time.monotonic()
        for name in names:
            if bench.out_of_time():
                bench.note(f"no time was left for: {name}")
                continue
            bench.say(f"{name}: {(CASES[name][0].__doc__ or '').splitlines()[0]}")
            try:
                bench.run(CASES[name][0], began + (MOST_MINUTES - CASES[name][1]) * 60 if bench.scale == 1 else began)
            except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as exc:
                failed = True  # what the other cases found is kept
                bench.note(f"{name} failed: {str(exc)[:300]}")
        text = report.text(bench, before)
        print(text)
        save(asked.json, "fleet", {"rows": bench.rows, "targets": bench.targets, "notes": bench.notes})
        if asked.write:
            report.write(text)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
