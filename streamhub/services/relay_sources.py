"""The sources that relays of ours take in, as the rows say; and what the services ask of whoever runs the relays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal, cast

import attrs
import trio

from streamhub.errors import ConfigError, StoreError, Unavailable
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import Activity, InputType
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.relays import (
    EndsRelay,
    Probe,
    ProbesSource,
    PullSource,
    RelayGrant,
    RelayStates,
    SourceUnusable,
)
from streamhub.net.guard import OutboundRules
from streamhub.observe.log import get_logger
from streamhub.services.ingress_values import RTMP_PORT
from streamhub.services.sealing import SecretBox
from streamhub.services.stream_keys import find_granted, unknown_key
from streamhub.store import apps as app_rows
from streamhub.store import ingress as rows
from streamhub.store.db import Database, Store
from streamhub.store.ingress import IngressRow

PERIOD_S = 2.0
END_S = 5.0
PROBE_S = 8.0
MOST_PROBES = 2
log = get_logger("relay")


def source_purpose(ingress_id: str) -> str:
    """What the sealed address of a pull is bound to."""
    return f"source of ingress {ingress_id}"


@attrs.define(eq=False)
class RelaySources:
    """Implements ``model.relays.PushAuthority``. ``run`` notices what other processes change in the rows.

    Filled in by whoever runs the relays: ``changed`` is called when ``pulls()`` may answer something else; ``states``,
    ``ends`` and ``prober`` are asked; ``rtmp_port`` is where encoders reach us, None if RTMP is switched off, or has a
    ``rtmp_problem``.
    """

    store: Store
    box: SecretBox
    now: WallClock = utc_now
    outbound: OutboundRules = attrs.field(factory=OutboundRules)
    rtmp_url: str | None = None
    rtmp_port: int | None = RTMP_PORT
    rtmp_problem: ConfigError | None = None
    changed: Callable[[], None] = lambda: None
    states: RelayStates | None = None
    ends: EndsRelay | None = None
    prober: ProbesSource | None = None
    # By ingress id, of publishers let in: digest of the key and the room, then.
    _admitted: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    _unreadable: set[str] = attrs.field(factory=set)
    _probes: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(MOST_PROBES))

    async def authorise_push(self, key: str) -> RelayGrant:
        """What the stream key grants to an RTMP publisher. Raises Unauthorized (unknown key), Forbidden."""
        row, app = await find_granted(self.store, key, InputType.RTMP)
        self._admitted[row.id] = (row.key_hash, row.room)
        if not await self.store.write_soon(_use, row, self.now()):
            raise unknown_key()  # exchanged or deleted meanwhile
        return _grant(row, app)

    async def pulls(self) -> list[PullSource]:
        """Every source to pull, of all apps: those switched on."""
        found = []
        for row, app in await self.store.read(_pulls):
            try:
                found.append(self.source(row, app))
            except StoreError as exc:
                if row.id not in self._unreadable:
                    log.error("a pull cannot be started", ingress=row.id, error=exc.message, hint=exc.hint)
                self._unreadable.add(row.id)
        return found

    def source(self, row: IngressRow, app: str) -> PullSource:
        """What the row of a pull says. Raises StoreError: sealed with another key."""
        return PullSource(
            grant=_grant(row, app),
            url=self.box.open(row.source or b"", source_purpose(row.id)),
            transport=cast('Literal["tcp", "udp", "auto"]', row.transport),
            on_demand=row.on_demand,
            max_gop_s=row.max_gop_s,
            max_height=row.max_height,
            enabled=row.enabled,
        )

    def activity(self, ingress_id: str) -> Activity:
        """What the ingress's relay is doing."""
        return (self.states.activity(ingress_id) if self.states is not None else None) or Activity()

    async def probe(self, source: PullSource) -> Probe:
        """What the source has. Raises SourceUnusable; Unavailable: nobody can look, or too many do."""
        if self.prober is None:
            raise Unavailable("this server runs no relays: nobody can look at a source", code="no_relays")
        looked = False
        with trio.move_on_after(PROBE_S):
            async with self._probes:
                looked = True
                return await self.prober.probe(source)
        if not looked:
            raise Unavailable("other sources are being tested just now", code="too_busy", retry_after_s=10)
        raise SourceUnusable(f"the source gave nothing within {PROBE_S:g} s")

    async def over(self, ingress_ids: Iterable[str]) -> None:
        """Their rows have gone, are switched off or have another key: ``changed``, and their relays end.

        A publisher that was let in before, and has no relay yet, is left to ``sweep``.
        """
        ids = list(ingress_ids)
        self.changed()
        if self.ends is None or not ids:
            return
        with trio.move_on_after(END_S) as waiting:
            async with trio.open_nursery() as nursery:
                for ingress_id in ids:
                    nursery.start_soon(self.ends.end, ingress_id)
        if waiting.cancelled_caught:
            log.warning("relays do not end", ingresses=ids)

    async def run(self) -> None:
        """Compare with the rows whenever they were changed, until cancelled; a failing disk is tried again."""
        seen = None
        while True:
            try:
                if (version := await self.store.version()) != seen:
                    await self.sweep()
                    seen = version
            except StoreError as exc:
                log.warning("cannot look after relays", error=exc.message, hint=exc.hint)
            await trio.sleep(PERIOD_S)

    async def sweep(self) -> list[str]:
        """End publishers whose row no longer lets them in, and let pulls be read again; returns the ids ended."""
        before = dict(self._admitted)
        allowed = await self.store.read(_allowed, list(before))
        # One may have been let in by a new key on either side of the read.
        gone = [i for i, then in before.items() if allowed.get(i) != then and self._admitted.get(i) == then]
        await self.over(gone)
        for ingress_id in gone:
            if self._admitted.get(ingress_id) == before[ingress_id]:
                del self._admitted[ingress_id]
        return gone


def _grant(row: IngressRow, app: str) -> RelayGrant:
    room = RoomKey(AppName(app), RoomName(row.room))
    return RelayGrant(row.id, InputType(row.input_type), room, row.identity, row.name)


def _use(db: Database, row: IngressRow, at: datetime) -> bool:
    current = rows.find(db, row.id)
    if current is None or not current.enabled or (current.key_hash, current.room) != (row.key_hash, row.room):
        return False
    rows.set_used(db, row.id, at)
    return True


def _pulls(db: Database) -> list[tuple[IngressRow, str]]:
    names = {app.id: app.name for app in app_rows.all_rows(db)}
    return [(row, names[row.app_id]) for row in rows.pulled_here(db)]


def _allowed(db: Database, ids: list[str]) -> dict[str, tuple[str, str]]:
    found = (rows.find(db, ingress_id) for ingress_id in ids)
    return {row.id: (row.key_hash, row.room) for row in found if row is not None and row.enabled}
