"""The WHIP door of our own relay workers, on a loopback listener: a bearer of ours stands for the whole grant.

So no worker holds a token of LiveKit's, an external LiveKit is reached by the one client we have, and what libav's
muxer does not understand (the order of candidates) is set right on the way.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

from streamhub.errors import NotFound, StreamHubError, Unauthorized
from streamhub.livekit.whip import WhipClient
from streamhub.model.ingress import WhipGrant, WhipSession
from streamhub.observe.log import get_logger
from streamhub.wire.sdp import check_answer, check_offer, udp_first

PATH = "/relay/whip"
TIDY_S = 2.0

log = get_logger("relay")


@attrs.define(eq=False)
class Pass:
    """Leave to publish, for one attachment of one worker."""

    grant: WhipGrant
    bearer: str = attrs.field(factory=lambda: secrets.token_urlsafe(24), repr=False)
    session: WhipSession | None = None


@attrs.define(eq=False)
class RelayWhip:
    """Owner of the passes. ``base`` is the http URL of the listener with this door."""

    client: WhipClient
    base: str = ""
    _passes: dict[str, Pass] = attrs.field(factory=dict)

    @property
    def url(self) -> str:
        """Where workers publish to."""
        return self.base + PATH

    @contextmanager
    def admit(self, grant: WhipGrant) -> Iterator[Pass]:
        """A pass for the time of the block."""
        given = Pass(grant)
        self._passes[given.bearer] = given
        try:
            yield given
        finally:
            del self._passes[given.bearer]

    async def publish(self, bearer: str, offer_text: str) -> tuple[str, str]:
        """The path of the session and the answer. Raises Unauthorized, BadSdp, SdpRefused, Unavailable."""
        given = self._find(bearer)
        offer = check_offer(offer_text)
        made = await self.client.create(given.grant, offer_text)
        check_answer(made.answer, offer)
        grant = given.grant
        given.session = WhipSession(
            grant.ingress_id, grant.room.room, grant.identity, made.resource, made.etag, offer.mid, offer.ufrag
        )
        return f"{PATH}/{bearer}", udp_first(made.answer)

    async def end(self, bearer: str) -> None:
        """The worker has hung up. Raises NotFound."""
        given = self._passes.get(bearer)
        if given is None:
            raise NotFound("no such session")
        await self.leave(given)

    async def leave(self, given: Pass) -> None:
        """Whoever published by the pass is in the room no more; a LiveKit that is away has lost it anyway."""
        session, given.session = given.session, None
        if session is None:
            return
        with trio.move_on_after(TIDY_S, shield=True):
            try:
                await self.client.delete(session)
            except StreamHubError as exc:
                log.debug("could not take a relay out of its room", error=exc.message)

    async def present(self, given: Pass) -> bool:
        """Whether LiveKit still has the participant. Raises Unavailable."""
        people = await self.client.livekit.client.participants(given.grant.room.room)
        return any(p.identity == given.grant.identity and p.state != "disconnected" for p in people)

    def _find(self, bearer: str) -> Pass:
        given = self._passes.get(bearer)
        if given is None:
            raise Unauthorized("not one of our relays")
        return given
