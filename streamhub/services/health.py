"""Is this server well? A short answer for probes, a list of checks for its operator."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import trio

from streamhub.errors import StoreError
from streamhub.ingest.livekit_ingress import IngressWatch
from streamhub.livekit.server import OLD_HINT, LiveKit, State
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import IngressState
from streamhub.model.workers import WorkerCounts
from streamhub.services.live import LiveRooms
from streamhub.services.livekit_egress import EgressHls
from streamhub.services.relay_sources import RelaySources
from streamhub.store import meta
from streamhub.store import streams as stream_rows
from streamhub.store.db import Store

LEAST_FREE_BYTES = 200 * 1024 * 1024
# No build of this program is older: an earlier clock is a machine without a clock battery that has not heard from NTP.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
_BACKWARDS = timedelta(minutes=5)
_DEADLINE_S = 5.0
_MOST_TOLD = 3


@attrs.frozen
class Check:
    """One thing looked at; ``ok`` is None for what is not set up here."""

    name: str
    ok: bool | None
    detail: str
    hint: str = ""


@attrs.frozen
class Health:
    """The use case of ``/health``. ``stopping`` tells whether the server is draining."""

    store: Store
    hub: LiveRooms
    data_dir: Path
    now: WallClock = utc_now
    stopping: Callable[[], bool] = lambda: False
    livekit: LiveKit | None = None
    ingress_watch: IngressWatch | None = None
    egress: EgressHls | None = None
    relays: RelaySources | None = None
    workers: Callable[[], WorkerCounts] | None = None

    async def checks(self) -> list[Check]:
        """All checks, in a fixed order; takes five seconds at most each."""
        return [
            await self._check_store(),
            await self._check_disk(),
            await self._check_clock(),
            self._check_rooms(),
            self._check_livekit(),
            *self._check_ingress(),
            *self._check_egress(),
            self._check_rtmp(),
            self._check_relays(),
            *self._check_workers(),
        ]

    async def _check_store(self) -> Check:
        try:
            with trio.fail_after(_DEADLINE_S):
                size = await self.store.write(meta.size_bytes)
        except trio.TooSlowError:
            return Check("store", False, f"no answer for {_DEADLINE_S:g} s", "Check the disk of the data folder.")
        except StoreError as exc:
            return Check("store", False, exc.message, exc.hint)
        return Check("store", True, f"writable, {size / 1e6:.1f} MB")

    async def _check_disk(self) -> Check:
        try:
            usage = await trio.to_thread.run_sync(shutil.disk_usage, self.data_dir)
        except OSError as exc:
            return Check("disk", False, f"cannot be read: {exc.strerror}", "Check the disk of the data folder.")
        return Check(
            "disk",
            usage.free >= LEAST_FREE_BYTES,
            f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB",
            "" if usage.free >= LEAST_FREE_BYTES else "Free some space on the disk of the data folder.",
        )

    async def _check_clock(self) -> Check:
        now = self.now()
        try:
            newest = await self.store.read(stream_rows.newest_time)
        except StoreError:
            newest = None  # told by the store's own check
        if now < EARLIEST:
            ok, detail = False, f"{now:%Y-%m-%d %H:%M} UTC lies before this program was made"
        elif newest is not None and now < newest - _BACKWARDS:
            ok, detail = False, f"{now:%Y-%m-%d %H:%M} UTC lies before the newest event of {newest:%Y-%m-%d %H:%M}"
        else:
            ok, detail = True, f"{now:%Y-%m-%d %H:%M:%S} UTC"
        return Check("clock", ok, detail, "" if ok else "Set the machine's clock, best by NTP.")

    def _check_rooms(self) -> Check:
        statuses = self.hub.statuses()
        live = sum(s.source is not None for s in statuses)
        detail = f"{len(statuses)} in memory, {live} with a source"
        if self.stopping():
            return Check("rooms", False, f"{detail}; the server is stopping", "Wait for it to come back.")
        return Check("rooms", True, detail)

    def _check_livekit(self) -> Check:
        """Not set up is not ill: cameras work without WebRTC."""
        one = self.livekit
        if one is None or one.state is State.ABSENT:
            return Check("livekit", None, "there is none: no WebRTC", "" if one is None else one.hint)
        if one.state is not State.READY:
            return Check("livekit", False, one.problem, one.hint)
        kind = "managed" if one.managed else "external"
        if not one.takes_whip:
            return Check("livekit", False, f"{kind}, {one.version}: too old for WHIP and relays", OLD_HINT)
        return Check("livekit", True, f"{kind}, version {one.version or 'unknown'}")

    def _check_ingress(self) -> list[Check]:
        """Only where LiveKit's ingress service is to take sources in. Whether one runs, LiveKit does not tell."""
        if self.ingress_watch is None or not self.ingress_watch.wanted:
            return []
        problem = self.ingress_watch.problem
        if problem is not None:
            return [Check("ingress", False, problem.message, problem.hint)]
        return [Check("ingress", True, "by LiveKit's ingress service; livekit-server has its Redis")]

    def _check_egress(self) -> list[Check]:
        """Only where LiveKit's egress service is to make HLS. Whether one runs, LiveKit does not tell."""
        if self.egress is None:
            return []
        problem = self.egress.problem
        if problem is not None:
            return [Check("egress", False, problem.message, problem.hint)]
        return [Check("egress", True, "HLS by LiveKit's egress service; livekit-server has its Redis")]

    def _check_rtmp(self) -> Check:
        one = self.relays
        if one is not None and one.rtmp_problem is not None:
            return Check("rtmp", False, one.rtmp_problem.message, one.rtmp_problem.hint)
        if one is None or one.states is None or one.rtmp_port is None:
            return Check("rtmp", None, "switched off", "Set STREAMHUB_RTMP_BIND to take RTMP in.")
        return Check("rtmp", True, f"listening on port {one.rtmp_port}, {one.states.counts().encoders} connected")

    def _check_relays(self) -> Check:
        """Full is ill: the next source is refused. A source that does not come is told, and its own affair."""
        if self.relays is None or self.relays.states is None:
            return Check("relays", None, "this process runs none")
        now = self.relays.states.counts()
        detail = f"{now.running} running of at most {now.most}"
        if asleep := sum(n for (_, state), n in now.by_state.items() if state is IngressState.INACTIVE):
            detail += f", {asleep} waiting for viewers"
        if now.failing:
            told = "; ".join(f"{f.room} ({f.ingress_id}): {f.error}" for f in now.failing[:_MOST_TOLD])
            more = "" if len(now.failing) <= _MOST_TOLD else f"; and {len(now.failing) - _MOST_TOLD} more"
            detail += f", {len(now.failing)} failing: {told}{more}"
        if now.running >= now.most:
            return Check("relays", False, detail, "The next source is refused: end one, or use a bigger machine.")
        hint = next((f.hint for f in now.failing if f.hint), "")
        return Check("relays", True, detail, hint)

    def _check_workers(self) -> list[Check]:
        """Only where there are to be some. Without them the server sends by itself."""
        if self.workers is None or (now := self.workers()).wanted == 0:
            return []
        detail = f"{now.running} of {now.wanted} running with {now.viewers} viewers, {now.restarts} restarts"
        ok = now.running == now.wanted
        return [Check("viewer_workers", ok, detail, "" if ok else "They are started anew; the log says why they end.")]
