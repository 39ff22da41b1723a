"""All relays: pushed sources for as long as their encoder stays, pulled ones for as long as their row does.

Each is a task in its room's nursery. One ingress has one relay at a time: who comes later takes over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import attrs
import trio

from streamhub.errors import StreamHubError, Unavailable
from streamhub.ingest.relay import ALL_OUTPUTS, Known, Output, Relay
from streamhub.ingest.relay_whip import RelayWhip
from streamhub.ingest.relay_worker import OpenWorker, WorkerLike, open_worker
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import WhipGrant
from streamhub.model.relays import PullSource, RelayGrant, SendMedia, SourceOver
from streamhub.observe.log import get_logger
from streamhub.rooms.backoff import Lives, delays
from streamhub.rooms.hub import Hub
from streamhub.rooms.room import Room
from streamhub.wire.flv import Preamble
from streamhub.wire.relay_control import Ended, Start

TAKEOVER_S = 1.0
LOOK_S = 5.0
# A source that has delivered is waited for this long at most, one that never did longer.
KNOWN_CAP_S = 2.0
UNKNOWN_CAP_S = 30.0
# Another try would end the same way: whoever sends this has to change something.
FINAL = {"unsupported_codec", "too_many_pixels"}

log = get_logger("relay")


class Pulls(Protocol):
    """The rows of sources to pull; ``services.relay_sources`` in the server."""

    async def pulls(self) -> Sequence[PullSource]:
        """All that are switched on. Raises StoreError."""
        ...


# What a worker is told to take in, checked and with its host looked up. Raises StreamHubError.
Prepare = Callable[[PullSource], Awaitable[Start]]


@attrs.define(eq=False)
class Running:
    """One relay in whatever state. ``error`` and ``retry_at``: why it does not run, and when it is tried again."""

    grant: RelayGrant
    source: PullSource | None = None
    known: Known = attrs.field(factory=Known)
    started_at: datetime | None = None
    last_came_at: datetime | None = None
    error: str | None = None
    hint: str | None = None
    retry_at: datetime | None = None
    reason: str | None = None
    message: str = ""
    over: trio.Event = attrs.field(factory=trio.Event)
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def end(self, reason: str, message: str) -> None:
        """Make it end. Returns at once: await ``over``."""
        if self.reason is None:
            self.reason, self.message = reason, message
        self.scope.cancel()


@attrs.define(eq=False)
class Relays:
    """Owner of the relays. ``run`` is a task its owner must start; it looks after the pulls."""

    hub: Hub
    whip: RelayWhip
    rows: Pulls
    prepare: Prepare
    clock: WallClock = utc_now
    most: int = 64
    open_worker: OpenWorker = open_worker
    # Why the way out was refused to a worker of that ingress; libav tells only a status.
    explain: Callable[[str], str | None] = lambda _ingress_id: None
    # How often a source was taken in anew, by app and the code with which it had ended.
    restarts: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    _running: dict[str, Running] = attrs.field(factory=dict)
    # Relays that run on demand, beside a room's source.
    _seats: dict[trio.CancelScope, trio.Event] = attrs.field(factory=dict)
    _changed: trio.Event = attrs.field(factory=trio.Event)
    _stopping: bool = False

    def find(self, ingress_id: str) -> Running | None:
        """The relay of that ingress, if there is one."""
        return self._running.get(ingress_id)

    @property
    def all(self) -> list[Running]:
        """Every relay, in whatever state."""
        return list(self._running.values())

    def count(self) -> int:
        """How many are at work; those that sleep or wait for their next try are not."""
        return len(self._seats) + sum(1 for running in self._running.values() if running.started_at is not None)

    def require_room(self) -> None:
        """Return if one more may begin. Raises Unavailable."""
        if self.count() >= self.most:
            raise Unavailable(
                f"this server runs as many relays as it may: {self.most} (STREAMHUB_MAX_RELAYS)",
                code="too_many_relays",
                hint="End one; or raise STREAMHUB_MAX_RELAYS, if the machine carries more.",
            )

    @contextmanager
    def seat(self) -> Iterator[None]:
        """One more relay, for the time of the block, which is cancelled when the server stops. Raises Unavailable."""
        self._require_running()
        self.require_room()
        scope, over = trio.CancelScope(), trio.Event()
        self._seats[scope] = over
        try:
            with scope:
                yield
        finally:
            del self._seats[scope]
            over.set()

    def relay(
        self,
        room: Room,
        grant: WhipGrant,
        known: Known | None = None,
        *,
        outputs: frozenset[Output] = ALL_OUTPUTS,
        livekit_on_demand: bool = False,
    ) -> Relay:
        """One life of a worker for the room, not begun yet; what is given is told in ``Relay``."""
        return Relay(grant, room, self.whip, known or Known(), self.open_worker, outputs, livekit_on_demand)

    async def end(self, ingress_id: str, reason: str = "deleted", message: str = "the ingress is gone") -> bool:
        """End the relay of that ingress; False if there is none. A pull whose row stays begins anew."""
        running = self._running.get(ingress_id)
        self.look_soon()
        if running is None:
            return False
        running.end(reason, message)
        await running.over.wait()
        return True

    async def stop(self, grace_s: float) -> None:
        """End all, and begin none any more; returns when they have ended, after about ``grace_s`` at most."""
        self._stopping = True
        overs = [*(one.over for one in self._running.values()), *self._seats.values()]
        for one in self._running.values():
            one.end("server_stopping", "the server is stopping: connect again in a moment")
        for scope in self._seats:
            scope.cancel()
        with trio.move_on_after(grace_s):
            for over in overs:
                await over.wait()

    def look_soon(self) -> None:
        """The rows have changed. Returns at once."""
        self._changed.set()
        self._changed = trio.Event()

    # --- pushed ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def push(self, grant: RelayGrant) -> AsyncIterator[SendMedia]:
        """See ``model.relays.OpensPush``."""
        with trio.move_on_after(TAKEOVER_S):
            await self.end(grant.ingress_id, "replaced", "another encoder publishes with the same key")
        self.require_room()
        running = self._admit(grant)
        running.started_at = self.clock()  # counted from here on, however long its room takes to open
        failure: Exception | None = None
        try:
            async with self.hub.lease(grant.room, publishing=True) as room, trio.open_nursery() as nursery:
                running.scope = nursery.cancel_scope
                pushed = _Pushed(running, room, partial(self.relay, room, grant.whip, running.known), self.restarted)
                nursery.start_soon(self._host, room, running, pushed.run)
                try:
                    yield pushed.send
                except Exception as exc:  # passed on below: the nursery would wrap it
                    failure = exc
                nursery.cancel_scope.cancel()
        finally:
            self._release(running)
        if failure is not None:
            raise failure
        if running.reason is not None:
            raise SourceOver(running.reason, running.message)

    async def _host(self, room: Room, running: Running, child: Callable[[], Awaitable[None]]) -> None:
        await room.host("relay", child)
        running.end("failed", "the relay has failed; publish again")

    # --- pulled ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make the pulls be what the rows say, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                changed = self._changed
                try:
                    await self._follow(await self.rows.pulls(), nursery)
                except StreamHubError as exc:
                    log.warning("cannot look after the pulls", error=exc.message, hint=exc.hint)
                with trio.move_on_after(LOOK_S):
                    await changed.wait()

    async def _follow(self, sources: Sequence[PullSource], nursery: trio.Nursery) -> None:
        wanted = {} if self._stopping else {s.grant.ingress_id: s for s in sources}
        for ingress_id, running in list(self._running.items()):
            if running.source is not None and running.source != wanted.get(ingress_id):
                running.end("changed", "its row has changed")
                await running.over.wait()
        for ingress_id, source in wanted.items():
            if ingress_id not in self._running:
                nursery.start_soon(self._pull, self._admit(source.grant, source), source)

    async def _pull(self, running: Running, source: PullSource) -> None:
        try:
            with running.scope:
                while True:  # a room that crashed is opened anew
                    async with self.hub.lease(source.grant.room, publishing=True) as room:
                        await room.host("relay", partial(_Pulled(running, room, source, self).run))
                    await trio.sleep(1.0)
        except Unavailable:
            pass  # the server stops
        finally:
            self._release(running)

    # --- both -----------------------------------------------------------------------------------------------

    def _admit(self, grant: RelayGrant, source: PullSource | None = None) -> Running:
        self._require_running()
        running = Running(grant, source)
        self._running[grant.ingress_id] = running
        return running

    def _require_running(self) -> None:
        if self._stopping:
            raise Unavailable("the server is stopping", code="stopping", retry_after_s=3)

    def restarted(self, grant: RelayGrant, ended: Ended) -> None:
        """Count a source that is taken in anew."""
        self.restarts[str(grant.room.app), ended.code or "ended"] += 1

    def _release(self, running: Running) -> None:
        if self._running.get(running.grant.ingress_id) is running:
            del self._running[running.grant.ingress_id]
        running.over.set()
        self.look_soon()


@attrs.define(eq=False)
class _Pushed:
    """An encoder's stream. What a worker must be told first is remembered, so that one that dies can be replaced."""

    running: Running
    room: Room
    relay: Callable[[], Relay]
    restarted: Callable[[RelayGrant, Ended], None]
    preamble: Preamble = attrs.field(factory=Preamble)
    _worker: WorkerLike | None = None
    _sending: trio.Lock = attrs.field(factory=trio.Lock)

    async def send(self, data: bytes) -> None:
        async with self._sending:
            self.preamble.take(data)
            if self._worker is not None:
                await self._worker.send_media(data)

    async def _ready(self, worker: WorkerLike) -> None:
        async with self._sending:
            if preamble := self.preamble.format():
                await worker.send_media(preamble)
            self._worker = worker

    async def run(self) -> None:
        with self.room.hls.offered():
            await self._run()

    async def _run(self) -> None:
        lives = Lives(0.1, KNOWN_CAP_S, UNKNOWN_CAP_S)
        while True:
            lives.begin()
            try:
                ended = await self.relay().run(Start(kind="flv"), ready=self._ready)
            finally:
                self._worker = None
            self.running.error, self.running.hint = ended.error, ended.hint
            if ended.code in FINAL:
                self.running.end(ended.code, f"{ended.error}. {ended.hint or ''}".strip())
                return
            log.warning("a relay ended", error=ended.error, code=ended.code, **_where(self.running.grant))
            await trio.sleep(lives.end())
            self.restarted(self.running.grant, ended)


@attrs.define(eq=False)
class _Pulled:
    """A source that we fetch, for ever."""

    running: Running
    room: Room
    source: PullSource
    owner: Relays

    async def run(self) -> None:
        """Until cancelled."""
        with self.room.hls.offered(), self.room.waking() if self.source.on_demand else nullcontext():
            await self._run()

    async def _run(self) -> None:
        waits, known = delays(0.5, UNKNOWN_CAP_S), False
        running = self.running
        while True:
            if self.source.on_demand:
                await self.room.demand.wait(lambda d: d.watched)
            delivered, ended = await self._life()
            running.started_at = None
            if ended is None:  # nobody watches any more
                running.error = running.hint = running.retry_at = None
                continue
            if delivered:
                waits, known = delays(0.5, KNOWN_CAP_S), True
            elif not known and ended.code == "eof":
                waits = delays(0.5, KNOWN_CAP_S)
            wait = next(waits)
            running.error = ended.error or "the source has ended"
            running.hint = ended.hint
            running.retry_at = self.owner.clock() + timedelta(seconds=wait)
            log.info("a pull ended", error=running.error, code=ended.code, again_in_s=round(wait, 1), **self._where)
            await trio.sleep(wait)
            self.owner.restarted(self.source.grant, ended)

    async def _life(self) -> tuple[bool, Ended | None]:
        """Whether media came, and how it ended; None: nobody wants it any more."""
        running, known = self.running, Known()
        try:
            self.owner.require_room()
            running.known, running.started_at, running.retry_at = known, self.owner.clock(), None
            start = await self.owner.prepare(self.source)
        except StreamHubError as exc:
            return False, Ended(error=exc.message, code=exc.code, hint=exc.hint)
        relay = self.owner.relay(self.room, self.source.grant.whip, known)
        ended: Ended | None
        if self.source.on_demand:
            ended = await self.room.demand.during(
                lambda d: d.watched, partial(relay.run, start), linger_s=UNKNOWN_CAP_S
            )
        else:
            ended = await relay.run(start)
        if known.opened is None:
            why = self.owner.explain(self.source.grant.ingress_id)
            return False, ended if why is None else Ended(error=why, code="outbound_refused")
        running.last_came_at = running.started_at
        return True, ended

    @property
    def _where(self) -> dict[str, str]:
        return _where(self.source.grant)


def _where(grant: RelayGrant) -> dict[str, str]:
    return {"app": grant.room.app, "room": grant.room.room, "ingress": grant.ingress_id}
