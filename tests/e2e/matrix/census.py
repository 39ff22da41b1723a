"""What a running server holds: processes below it, descriptors, files, memory, CPU time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import attrs

from tests.support.livekit import children
from tests.support.server import Server

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def below(pid: int) -> list[int]:
    """Every process below that one."""
    found = children(pid)
    return found + [further for child in found for further in below(child)]


def is_gone(pid: int) -> bool:
    """Whether it has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@attrs.frozen
class Census:
    """``descriptors``: without those of segments, which are as many as the lists are long.

    ``cpu_s`` and ``rss_mb`` by kind of process: server, relay (worker and publisher), livekit.
    """

    processes: int
    descriptors: int
    files: int
    cpu_s: dict[str, float]
    rss_mb: dict[str, float]

    def shares(self, former: Census, seconds: float) -> str:
        """CPU since then in % of one core, and RSS now, as a line."""
        words = []
        for kind, cpu in self.cpu_s.items():
            share = (cpu - former.cpu_s.get(kind, 0.0)) / seconds * 100
            words.append(f"{kind} {share:.1f} % {self.rss_mb[kind]:.0f} MB")
        return ", ".join(words)


def _opened(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # just closed
            found.append(str(link.readlink()))
    return found


def count(server: Server) -> Census:
    """All of it, now."""
    cpu: dict[str, float] = {}
    rss: dict[str, float] = {}
    everybody = [server.pid, *below(server.pid)]
    for pid in everybody:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            kind = "server" if pid == server.pid else "relay" if b"streamhub.relay" in command else "livekit"
            cpu[kind] = cpu.get(kind, 0.0) + (int(fields[11]) + int(fields[12])) / TICKS
            rss[kind] = rss.get(kind, 0.0) + int(fields[21]) * PAGE / 1e6
    return Census(
        processes=len(everybody),
        descriptors=sum(1 for target in _opened(server.pid) if "/hls/" not in target),
        files=sum(1 for path in (server.data_dir / "hls").rglob("*") if path.is_file()),
        cpu_s=cpu,
        rss_mb=rss,
    )
