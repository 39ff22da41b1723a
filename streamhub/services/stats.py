"""Figures of the whole server and of one app. What this version does not have is left out, not shown as zero."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import attrs
import trio

from streamhub.ingest.livekit_ingress import IngressWatch
from streamhub.livekit.server import LiveKit, State
from streamhub.services.ingress import Ingresses
from streamhub.services.live import LiveRooms
from streamhub.services.livekit_egress import EgressHls
from streamhub.store import apps as app_rows
from streamhub.store import meta
from streamhub.store import streams as stream_rows
from streamhub.store.db import Database, Store


@attrs.frozen
class Space:
    """Bytes of memory or disk."""

    total_bytes: int
    free_bytes: int
    used_bytes: int


@attrs.frozen
class Traffic:
    """Ingresses or egresses: whether what carries them can be reached, how many there are, how many at work."""

    reachable: bool
    active: int
    total: int


@attrs.frozen
class ServerStats:
    """The server now. ``memory`` and ``disk`` are None where the machine does not tell."""

    load_avg: tuple[float, float, float]
    cores: int
    memory: Space | None
    disk: Space | None
    apps: int
    rooms: int
    active_streams: int
    viewers: int
    livekit_reachable: bool
    ingress: Traffic
    egress: Traffic
    db_size_bytes: int


@attrs.frozen
class Stats:
    """The use case of ``/stats``. Nothing is asked of LiveKit for it: so it answers whatever LiveKit does."""

    store: Store
    hub: LiveRooms
    data_dir: Path
    ingresses: Ingresses
    watch: IngressWatch
    livekit: LiveKit | None = None
    egress: EgressHls | None = None

    async def apps(self) -> int:
        """How many apps there are. Raises StoreError."""
        return await self.store.read(app_rows.count)

    async def server(self) -> ServerStats:
        """The figures of this moment."""
        apps, streams, size = await self.store.read(_counts)
        memory, disk = await trio.to_thread.run_sync(_spaces, self.data_dir)
        rooms = self.hub.statuses()
        total, active = await self.ingresses.counts()
        return ServerStats(
            load_avg=os.getloadavg(),
            cores=os.cpu_count() or 1,
            memory=memory,
            disk=disk,
            apps=apps,
            rooms=sum(r.source is not None for r in rooms),
            active_streams=streams,
            viewers=sum(sum(r.viewers.values()) for r in rooms),
            livekit_reachable=self._reaches_livekit(),
            ingress=Traffic(self._takes_ingress(), active, total),
            egress=self._egress(),
            db_size_bytes=size,
        )

    def _egress(self) -> Traffic:
        """LiveKit's egress service, where that makes HLS."""
        if self.egress is None:
            return Traffic(False, 0, 0)
        return Traffic(self._reaches_livekit() and self.egress.problem is None, *self.egress.counts())

    def _reaches_livekit(self) -> bool:
        return self.livekit is not None and self.livekit.state is State.READY

    def _takes_ingress(self) -> bool:
        """Whether a new ingress would work: by our WHIP, or by LiveKit's own service."""
        if self.livekit is None or not self._reaches_livekit():
            return False
        return self.watch.problem is None if self.watch.wanted else self.livekit.takes_whip


def _counts(db: Database) -> tuple[int, int, int]:
    return app_rows.count(db), stream_rows.count_active(db), meta.size_bytes(db)


def _spaces(data_dir: Path) -> tuple[Space | None, Space | None]:
    try:
        usage = shutil.disk_usage(data_dir)
        disk = Space(usage.total, usage.free, usage.used)
    except OSError:
        disk = None
    return _memory(Path("/proc/meminfo")), disk


def _memory(meminfo: Path) -> Space | None:
    try:
        lines = meminfo.read_text("ascii").splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        total, free = kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return Space(total, free, total - free)
