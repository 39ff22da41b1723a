"""WHIP sessions: who may publish by which stream key, and which publications LiveKit still has."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from itertools import count

import attrs
import trio

from streamhub.errors import Forbidden, NotFound, StoreError, Unavailable
from streamhub.livekit.participants import Participant
from streamhub.livekit.server import LiveKit
from streamhub.livekit.whip import WhipClient
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import InputType, WhipGrant, WhipSession
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.observe.log import get_logger
from streamhub.services.sealing import digest
from streamhub.services.stream_keys import find_granted, unknown_key
from streamhub.store import ingress as ingress_rows
from streamhub.store import whip_sessions as rows
from streamhub.store.db import Database, Store, Taken
from streamhub.store.whip_sessions import SessionRow

PERIOD_S = 2.0
# LiveKit is asked in every third round only: each call is 2 ms of a publication that shall cost nothing. Whoever asks
# for an ingress's state is told the truth by ``look``.
ROUNDS_PER_LOOK = 3
# A session is stored after LiveKit made its participant; this much is for clocks and slow answers.
GRACE_S = 3.0
LOOK_S = 2.0
MOST_CALLS = 8
log = get_logger("whip")


@attrs.define(eq=False)
class WhipSessions:
    """Implements ``model.ingress.WhipAuthority``. ``run`` ends what LiveKit or the database no longer has.

    ``_known`` are the sessions whose participants are ours to remove: a row that another process deleted is still here.
    """

    store: Store
    livekit: LiveKit
    now: WallClock = utc_now
    client: WhipClient = attrs.field(init=False)
    _known: dict[str, SessionRow] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.client = WhipClient(self.livekit, self.now)

    async def authorise(self, key: str) -> WhipGrant:
        """What the stream key grants. Raises Unauthorized (unknown), Forbidden (switched off, or LiveKit's)."""
        row, app = await find_granted(self.store, key, InputType.WHIP)
        return WhipGrant(row.id, RoomKey(AppName(app), RoomName(row.room)), row.identity, row.name)

    async def opened(self, grant: WhipGrant, session: WhipSession) -> str:
        """The secret id of a new session, which replaces the ingress's former one. Raises Unauthorized."""
        session_id = f"whs_{secrets.token_urlsafe(24)}"
        row = SessionRow(id_hash=digest(session_id), started_at=self.now(), **attrs.asdict(session))
        try:
            # The encoder waits. Our death must not lose the row; a power cut, before the stream's start is written
            # moments later, may: then the media has stopped too, unless LiveKit runs on another machine.
            before = await self.store.write_soon(_open, row, grant)
        except Taken:
            raise unknown_key() from None
        self._known[row.id_hash] = row
        if before is not None and (before.room, before.identity) == (row.room, row.identity):
            self._known.pop(before.id_hash, None)  # LiveKit has thrown it out: the identity is the same
        return session_id

    async def session(self, session_id: str, key: str | None) -> WhipSession:
        """The open session of that secret id. Raises NotFound, Forbidden."""
        found = await self.store.read(_by_secret, digest(session_id))
        if found is None:
            raise NotFound("there is no such WHIP session, or it is over", code="whip_session_not_found")
        row, key_hash = found
        if key is not None and digest(key) != key_hash:
            raise Forbidden("this WHIP session belongs to another stream key", code="whip_session_of_another")
        return as_session(row)

    async def closed(self, session_id: str) -> None:
        """Forget a session."""
        id_hash = digest(session_id)
        await self.store.write(rows.delete, id_hash)
        self._known.pop(id_hash, None)

    async def end(self, ingress_id: str) -> bool:
        """End the ingress's session, if it has one; the row may be gone already. Returns whether it had one."""
        row = await self.store.write(_pop, ingress_id)
        ending = [r for r in self._known.values() if r.ingress_id == ingress_id]
        if row is not None and row.id_hash not in self._known:
            ending.append(row)
            self._known[row.id_hash] = row
        for one in ending:
            await self._remove(one)
        return bool(ending)

    async def look(self, sessions: Iterable[SessionRow]) -> dict[str, Participant | None]:
        """By ingress id, the participant of each session, None if it has left; without LiveKit, nothing.

        Takes two seconds at most.
        """
        wanted = list(sessions)
        found: dict[str, dict[str, Participant]] = {}
        limit = trio.CapacityLimiter(MOST_CALLS)

        async def ask(room: str) -> None:
            async with limit:
                try:
                    found[room] = {p.sid: p for p in await self.livekit.client.participants(room)}
                except Unavailable:
                    return

        with trio.move_on_after(LOOK_S):
            async with trio.open_nursery() as nursery:
                for room in sorted({s.room for s in wanted}):
                    nursery.start_soon(ask, room)
        return {s.ingress_id: found[s.room].get(s.sid) for s in wanted if s.room in found}

    async def run(self) -> None:
        """Tidy up every two seconds until cancelled; a failing disk is logged and tried again."""
        for turn in count():
            try:
                await self.tidy(look=turn % ROUNDS_PER_LOOK == 0)
            except StoreError as exc:
                log.warning("cannot look after WHIP sessions", error=exc.message, hint=exc.hint)
            await trio.sleep(PERIOD_S)

    async def tidy(self, *, look: bool = True) -> list[str]:
        """Remove participants whose session's row is gone, and rows whose participant is; ingress ids of the latter.

        Without ``look`` only the former.
        """
        stored = {row.id_hash: row for row in await self.store.read(rows.all_open)}
        for row in [r for r in self._known.values() if r.id_hash not in stored]:
            # Looked at again: it may have been opened after the read above.
            if await self.store.read(rows.by_hash, row.id_hash) is None:
                await self._remove(row)
        for id_hash, row in stored.items():
            self._known.setdefault(id_hash, row)
        if not look:
            return []
        at = self.now()
        old = [row for row in stored.values() if (at - row.started_at).total_seconds() > GRACE_S]
        participants = await self.look(old)
        over = [row for row in old if participants.get(row.ingress_id, 0) is None]
        for row in over:
            await self.store.write(rows.delete, row.id_hash)
            self._known.pop(row.id_hash, None)
            log.info("its encoder has left", room=row.room, ingress=row.ingress_id)
        return [row.ingress_id for row in over]

    async def _remove(self, row: SessionRow) -> None:
        try:
            await self.client.delete(as_session(row))
        except Unavailable as exc:
            # Stays known: the next round tries again.
            log.warning("cannot end a WHIP session in livekit", error=exc.message, ingress=row.ingress_id)
        else:
            self._known.pop(row.id_hash, None)
            log.info("WHIP session ended", room=row.room, ingress=row.ingress_id)


def as_session(row: SessionRow) -> WhipSession:
    """The row as the WHIP door knows it."""
    return WhipSession(row.ingress_id, row.room, row.identity, row.resource, row.etag, row.mid, row.ufrag)


def _open(db: Database, row: SessionRow, grant: WhipGrant) -> SessionRow | None:
    """Store a session of an ingress that is still there, switched on, and in the same room."""
    key = ingress_rows.find(db, grant.ingress_id)
    if key is None or not key.enabled or key.room != grant.room.room:
        raise Taken(grant.ingress_id)
    ingress_rows.set_used(db, grant.ingress_id, row.started_at)
    return rows.replace(db, row)


def _by_secret(db: Database, id_hash: str) -> tuple[SessionRow, str] | None:
    row = rows.by_hash(db, id_hash)
    key = None if row is None else ingress_rows.find(db, row.ingress_id)
    return None if row is None or key is None else (row, key.key_hash)


def _pop(db: Database, ingress_id: str) -> SessionRow | None:
    row = rows.by_ingress(db, ingress_id)
    if row is not None:
        rows.delete(db, row.id_hash)
    return row
