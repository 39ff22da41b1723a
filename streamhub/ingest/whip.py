"""The WHIP door (RFC 9725): stream key → grant → LiveKit's own WHIP, with every step checked on the way.

Media flows between the encoder and LiveKit; nothing runs here for a publication once it has been answered. Credentials
and session descriptions are never logged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from streamhub.errors import StreamHubError, Unauthorized, Unavailable
from streamhub.ingest.limiter import StreamKeyLimits
from streamhub.livekit.whip import Created, WhipClient
from streamhub.model.ingress import WhipAuthority, WhipGrant, WhipSession
from streamhub.observe.log import get_logger
from streamhub.wire.sdp import SDP_TYPE, BadSdp, Offer, SdpRefused, check_answer, check_offer, udp_first
from streamhub.wire.trickle import TRICKLE_TYPE, check_fragment

TIDY_S = 5.0

log = get_logger("whip")


class WrongSdpType(StreamHubError):
    """The body is of another media type."""

    status, code = 415, "unsupported_media_type"
    hint = f"Send '{SDP_TYPE}' to publish, '{TRICKLE_TYPE}' to add candidates."


class EtagMissing(StreamHubError):
    """A PATCH does not say which ICE session it is for."""

    status, code = 428, "etag_missing"
    hint = "Send If-Match with the ETag of the answer to your POST."


class EtagWrong(StreamHubError):
    """A PATCH is for another ICE session."""

    status, code = 412, "etag_wrong"
    hint = "Send If-Match with the ETag of the answer to your POST."


@attrs.frozen
class Publication:
    """What the encoder is answered: the secret id of its session, the SDP answer, ETag (unquoted) and Link."""

    session_id: str = attrs.field(repr=False)
    answer: str = attrs.field(repr=False)
    etag: str
    links: str | None = attrs.field(repr=False)


@attrs.define(eq=False)
class WhipDoor:
    """Owner of the limits and of who is publishing right now; sessions belong to the authority."""

    authority: WhipAuthority
    client: WhipClient
    _limits: StreamKeyLimits = attrs.field(factory=lambda: StreamKeyLimits(code="whip_too_often"))
    _turns: dict[str, trio.Lock] = attrs.field(factory=dict)

    async def publish(self, key: str | None, media_type: str, body: bytes, client_ip: str) -> Publication:
        """Start publishing; whoever publishes by the same key is replaced.

        Raises Unauthorized, Forbidden, TooMany, WrongSdpType, BadSdp, SdpRefused, Unavailable. If cancelled, nobody
        stays in the room.
        """
        grant = await self._grant(key, client_ip)
        if media_type != SDP_TYPE:
            raise WrongSdpType(f"the body is {media_type[:60] or 'of no declared type'}, expected {SDP_TYPE}")
        offer_text = _text(body)
        offer = check_offer(offer_text)
        async with self._turn(grant.ingress_id):
            created = await self.client.create(grant, offer_text)
            session = WhipSession(
                grant.ingress_id,
                grant.room.room,
                grant.identity,
                created.resource,
                created.etag,
                offer.mid,
                offer.ufrag,
            )
            session_id = await self._keep(grant, session, created, offer)
        log.info("publishing", app=grant.room.app, room=grant.room.room, ingress=grant.ingress_id, ip=client_ip)
        return Publication(session_id, udp_first(created.answer), created.etag, created.links)

    async def trickle(
        self, session_id: str, key: str | None, if_match: str | None, media_type: str, body: bytes
    ) -> None:
        """Add ICE candidates. Raises NotFound, Forbidden, EtagMissing, EtagWrong, SdpRefused (ICE restart), BadSdp."""
        session = await self.authority.session(session_id, key)
        if media_type != TRICKLE_TYPE:
            raise WrongSdpType(f"the body is {media_type[:60] or 'of no declared type'}, expected {TRICKLE_TYPE}")
        if if_match is None:
            raise EtagMissing("PATCH needs If-Match")
        fragment = check_fragment(_text(body), session.mid)
        tags = [tag.strip() for tag in if_match.split(",")]
        if "*" in tags or fragment.ufrag not in (None, session.ufrag):
            raise SdpRefused(
                "ICE restarts are not possible here; the session goes on",
                code="ice_restart_refused",
                hint="To come over another network, publish anew with the same key: it takes over within a second.",
            )
        # Some clients leave the quotes out.
        if session.etag not in [tag.removeprefix('"').removesuffix('"') for tag in tags]:
            raise EtagWrong("If-Match is not the ETag of this session")
        if fragment.text is not None:
            await self.client.trickle(session, fragment.text)

    async def end(self, session_id: str, key: str | None) -> None:
        """End the session. Raises NotFound, Forbidden."""
        session = await self.authority.session(session_id, key)
        await self.authority.closed(session_id)
        try:
            await self.client.delete(session)
        except Unavailable as exc:
            # The encoder stops sending anyway: LiveKit drops it by itself within 20 s.
            log.warning("could not tell livekit that a session ended", error=exc.message)
        log.info("ended by its encoder", room=session.room, ingress=session.ingress_id)

    async def _grant(self, key: str | None, client_ip: str) -> WhipGrant:
        now = trio.current_time()
        try:
            if not key:
                raise Unauthorized(
                    "publishing needs a stream key",
                    code="stream_key_required",
                    hint="Send 'Authorization: Bearer <stream key>', or publish to /whip/<stream key>.",
                )
            grant = await self.authority.authorise(key)
        except Unauthorized:
            self._limits.failed(client_ip, now)
            raise
        self._limits.started(grant.ingress_id, now)
        return grant

    async def _keep(self, grant: WhipGrant, session: WhipSession, created: Created, offer: Offer) -> str:
        """Remember a session that exists in LiveKit, or end it there."""
        kept = False
        try:
            check_answer(created.answer, offer)
            session_id = await self.authority.opened(grant, session)
            kept = True
            return session_id
        finally:
            if not kept:
                with trio.move_on_after(TIDY_S, shield=True):
                    try:
                        await self.client.delete(session)
                    except Unavailable as exc:
                        log.warning("could not take a refused session back", error=exc.message)

    @asynccontextmanager
    async def _turn(self, ingress_id: str) -> AsyncIterator[None]:
        """One at a time per key, so that the session remembered is the one LiveKit kept."""
        lock = self._turns.setdefault(ingress_id, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and self._turns.get(ingress_id) is lock:
                del self._turns[ingress_id]


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadSdp("the body is not UTF-8 text") from None
