"""The ingress watcher: what LiveKit's own ingress service does for us, followed; and what we want of it, made so.

Our rows say which ingresses there should be, in which room; LiveKit's list says what became of them. Both are compared
every five seconds, after every webhook about an ingress, and after every change of ours: a webhook that is lost,
doubled or late changes nothing but how soon we know. The media of an ingress is a participant like others and
followed as those are; why one watcher does for all rooms: docs/decisions/0009.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import attrs

from streamhub.errors import BadRequest, NotFound, Unavailable
from streamhub.livekit.following import Following
from streamhub.livekit.ingresses import LIVEKIT_INGRESS_ATTRIBUTE, LiveIngress
from streamhub.livekit.participants import Kind, Participant
from streamhub.model.ingress import BookedIngress, IngressBook, IngressState
from streamhub.model.streams import StreamType
from streamhub.observe.log import get_logger

log = get_logger("ingress")


class IngressesApi(Protocol):
    """What is asked of LiveKit; ``livekit.ingresses.IngressApi`` in the server."""

    async def list(self) -> list[LiveIngress]:
        """All ingresses. Raises Unavailable."""
        ...

    async def get(self, livekit_id: str) -> LiveIngress:
        """One. Raises NotFound, Unavailable."""
        ...

    async def update(self, livekit_id: str, *, room: str, enabled: bool) -> LiveIngress:
        """Change one. Raises NotFound, BadRequest, Unavailable."""
        ...

    async def delete(self, livekit_id: str) -> None:
        """Remove one. Raises NotFound, Unavailable."""
        ...


@attrs.define(eq=False)
class IngressWatch(Following):
    """Owner of what we know about LiveKit's ingresses.

    ``wanted``: new ingresses are made in LiveKit; else it is asked only while there are rows of old ones.
    """

    what = "ingresses"
    log = log
    api: IngressesApi
    book: IngressBook
    wanted: bool = False
    _live: dict[str, LiveIngress] = attrs.field(factory=dict)
    _lost: frozenset[str] = frozenset()

    def find(self, livekit_id: str) -> LiveIngress | None:
        """The ingress as LiveKit had it last; None if it is not known yet, or lost."""
        return self._live.get(livekit_id)

    def is_lost(self, livekit_id: str) -> bool:
        """Whether we have a row of it and LiveKit has it no longer."""
        return livekit_id in self._lost

    def saw(self, one: LiveIngress) -> None:
        """LiveKit has just told us of it."""
        self._live[one.id] = one

    async def stream_types(self, room: str, people: Iterable[Participant]) -> dict[str, StreamType]:
        """The type of each stream that LiveKit's ingress service publishes there, by the participant's sid."""
        found = {}
        for one in people:
            if one.kind is Kind.INGRESS:
                found[one.sid] = await self._type_of(room, one)
        return found

    async def _type_of(self, room: str, participant: Participant) -> StreamType:
        livekit_id = participant.attributes.get(LIVEKIT_INGRESS_ATTRIBUTE)
        live = self._live.get(livekit_id) if livekit_id else self._of_identity(room, participant.identity)
        if live is None and livekit_id:
            try:
                live = await self.api.get(livekit_id)
            except (NotFound, Unavailable) as exc:
                log.debug("LiveKit does not tell of an ingress", ingress=livekit_id, error=exc.message)
        return StreamType.RTMP if live is None else live.input_type.stream_type

    def _of_identity(self, room: str, identity: str) -> LiveIngress | None:
        """Older ingress services do not mark their participants."""
        return next((i for i in self._live.values() if (i.room, i.identity) == (room, identity)), None)

    async def _compare(self) -> None:
        wanted, unwanted = await self.book.booked()
        if not (self.wanted or wanted or unwanted):
            self._live, self._lost = {}, frozenset()
            return
        # Asked after the rows: an ingress is made there before its row is.
        live = {i.id: i for i in await self.api.list()}
        for livekit_id in unwanted:
            await self._remove(livekit_id, live)
        for row in wanted:
            if (one := live.get(row.livekit_id)) is not None:
                live[one.id] = await self._follow(row, one)
        lost = frozenset(row.livekit_id for row in wanted if row.livekit_id not in live)
        for livekit_id in lost - self._lost:
            log.warning("LiveKit has lost an ingress", ingress=livekit_id, hint="Rotate its key, or delete it.")
        for one in live.values():
            before = self._live.get(one.id)
            if one.state is IngressState.ERROR and (before is None or before.state is not IngressState.ERROR):
                log.info("an ingress failed in LiveKit", ingress=one.id, room=one.room, error=one.error)
        self._live, self._lost = live, lost

    async def _remove(self, livekit_id: str, live: dict[str, LiveIngress]) -> None:
        if live.pop(livekit_id, None) is not None:
            try:
                await self.api.delete(livekit_id)
            except NotFound:
                pass  # somebody was faster
        await self.book.removed(livekit_id)

    async def _follow(self, row: BookedIngress, one: LiveIngress) -> LiveIngress:
        """LiveKit's ingress, in our row's room and switched as it is. A pull cannot be changed once it is made."""
        if not one.reusable or (one.room, one.enabled) == (row.room, row.enabled):
            return one
        try:
            return await self.api.update(row.livekit_id, room=row.room, enabled=row.enabled)
        except (NotFound, BadRequest) as exc:
            log.warning("LiveKit does not change an ingress", ingress=one.id, error=exc.message)
            return one


def report_ingress_watch(exc: Exception) -> None:
    """Log why the watcher ended; it is run again."""
    log.error("following LiveKit's ingresses failed; it starts again", exc_info=exc)
