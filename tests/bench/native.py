"""Our C programs for measurements, compiled when their sources change, and what runs them."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.figures import cpu_seconds

if TYPE_CHECKING:
    from tests.bench.contenders import Contender

SOURCES = Path(__file__).parent / "native"
BUILT = Path(__file__).parents[2] / ".cache" / "bench"
PROGRAMS = {
    "load": (["load.c", "cameras.c", "viewers.c", "account.c"], ["-O3"]),
    "limit": (["limit.c"], ["-O3"]),
    "fakev4l2.so": (["fakev4l2.c"], ["-O2", "-shared", "-fPIC"]),
}
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
# The server has the first of our cores, whoever loads it the last; on one core they share it.
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


def build() -> None:
    """Compile what is missing or old. Raises CalledProcessError with the compiler's words on stderr."""
    BUILT.mkdir(parents=True, exist_ok=True)
    headers = [p.read_bytes() for p in sorted(SOURCES.glob("*.h"))]
    for name, (files, flags) in PROGRAMS.items():
        sources = [SOURCES / file for file in files]
        words = hashlib.sha256(b"".join([*headers, *(p.read_bytes() for p in sources), *map(str.encode, flags)]))
        stamp = BUILT / f"{name}.{words.hexdigest()[:16]}"
        if not stamp.exists():
            for old in BUILT.glob(f"{name}.*"):
                old.unlink()
            compiler = os.environ.get("CC", "cc")
            subprocess.run([compiler, *flags, *WARNINGS, "-o", str(BUILT / name), *map(str, sources)], check=True)
            stamp.touch()


def on_core(core: int, command: Sequence[str]) -> list[str]:
    """The command, bound to one core."""
    return ["taskset", "--cpu-list", str(core), *command]


def find(name: str) -> str | None:
    """A program of the machine; Debian keeps some beside a user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def load(port: int, *options: object, within_s: float = 200) -> dict[str, Any]:
    """One run of the load generator: its figures. Raises RuntimeError with its words if it failed."""
    command = [str(BUILT / "load"), "-p", str(port), "-C", str(LOAD_CORE), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    found["said"] = done.stderr[-300:]
    return found


def wrk(
    contender: Contender,
    paths: Sequence[str],
    seconds: float,
    *,
    method: str = "GET",
    body: str = "",
    idle: float = 0.0,
) -> dict[str, Any]:
    """Requests as fast as they are answered, on 16 kept-alive connections. Raises RuntimeError if wrk failed.

    ``idle``: seconds of CPU that the server takes in a second for other things; they are not part of ``us``.
    """
    auth = ["-H", f"Authorization: Bearer {contender.token}"] if contender.token else []
    options = ["-t", "1", "-c", "16", "-d", f"{max(1, round(seconds))}s", "--latency", *auth]
    script = ["-s", str(SOURCES / "requests.lua"), f"http://127.0.0.1:{contender.port}", "--", method, body, *paths]
    command = on_core(LOAD_CORE, [find("wrk") or "wrk", *options, *script])
    before, began, generator = cpu_seconds(contender.pid), time.monotonic(), _children_s()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    took = time.monotonic() - began
    spent = cpu_seconds(contender.pid) - before - idle * took
    if done.returncode != 0:
        raise RuntimeError(f"wrk failed: {done.stderr[-500:]}{done.stdout[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["per_s"] = found["requests"] / found["seconds"]
    found["us"] = spent * 1e6 / max(1, found["requests"])
    found["generator_cpu"] = (_children_s() - generator) / took
    return found


def _children_s() -> float:
    """CPU time of the processes we have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
