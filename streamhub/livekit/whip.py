"""LiveKit's own WHIP, seen from our proxy: one call per step, each with a fresh token (decision D1).

What LiveKit says in its errors is never passed on: its 401 repeats the whole token.
"""

from __future__ import annotations

import re

import attrs

from streamhub.errors import BadRequest, NotFound, StreamHubError, Unavailable
from streamhub.livekit.server import LiveKit
from streamhub.livekit.session import Reply
from streamhub.livekit.tokens import INGRESS_ATTRIBUTE, TYPE_ATTRIBUTE, JoinGrant, mint_join_token
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import WhipGrant, WhipSession
from streamhub.observe.log import get_logger
from streamhub.wire.sdp import SDP_TYPE
from streamhub.wire.trickle import TRICKLE_TYPE

PATH = "/whip/v1"
TOKEN_S = 60  # LiveKit reads it once, at the start of the call
_RESOURCE = re.compile(rf"{PATH}/[A-Za-z0-9_-]{{1,100}}")
_ETAG = re.compile(r"[\x21\x23-\x7e]{1,256}")

log = get_logger("whip")


@attrs.frozen
class Created:
    """LiveKit's 201. ``links`` is the Link header as it came: ICE servers, perhaps with credentials."""

    resource: str
    etag: str
    answer: str = attrs.field(repr=False)
    links: str | None = attrs.field(repr=False)


@attrs.frozen(eq=False)
class WhipClient:
    """Speaks to whichever livekit-server there is. Every call raises Unavailable if there is none that takes WHIP."""

    livekit: LiveKit
    now: WallClock = utc_now

    async def create(self, grant: WhipGrant, offer: str) -> Created:
        """Publish; whoever has the same identity in the room is thrown out. Raises BadRequest, Unavailable."""
        reply = await self._call("POST", PATH, grant.room.room, grant.identity, SDP_TYPE, offer, grant=grant)
        if reply.status != 201:
            raise _failed("POST", reply.status)
        resource, etag = reply.headers.get("location", ""), reply.headers.get("etag", "")
        if not _RESOURCE.fullmatch(resource) or not _ETAG.fullmatch(etag):
            raise Unavailable("LiveKit's answer to a WHIP offer has no session", code="bad_answer")
        return Created(resource, etag, reply.body.decode("utf-8", "replace"), reply.headers.get("link"))

    async def trickle(self, session: WhipSession, fragment: str) -> None:
        """Pass candidates on. Raises NotFound if the participant is gone, BadRequest, Unavailable."""
        # Never "*" here: that is an ICE restart, which can take a whole livekit-server 1.13.5 down.
        assert _ETAG.fullmatch(session.etag)
        assert session.etag != "*"
        reply = await self._call(
            "PATCH",
            session.resource,
            session.room,
            session.identity,
            TRICKLE_TYPE,
            fragment,
            extra={"If-Match": session.etag},
        )
        if reply.status not in (200, 204):
            raise _failed("PATCH", reply.status)

    async def delete(self, session: WhipSession) -> None:
        """The participant is gone, now or before. Raises Unavailable."""
        reply = await self._call("DELETE", session.resource, session.room, session.identity)
        if reply.status not in (200, 204, 404):
            raise _failed("DELETE", reply.status)

    async def _call(
        self,
        method: str,
        path: str,
        room: str,
        identity: str,
        media_type: str | None = None,
        body: str = "",
        *,
        grant: WhipGrant | None = None,
        extra: dict[str, str] | None = None,
    ) -> Reply:
        attributes = {} if grant is None else {TYPE_ATTRIBUTE: grant.type.value}
        if grant is not None and grant.ingress_id:
            attributes[INGRESS_ATTRIBUTE] = grant.ingress_id
        join = JoinGrant(
            room=room,
            identity=identity,
            name=None if grant is None else grant.name,
            attributes=attributes,
            can_publish=True,
        )
        token = mint_join_token(self.livekit.keys, join, self.now(), TOKEN_S)
        headers = {"Authorization": f"Bearer {token}", **(extra or {})}
        if media_type is not None:
            headers["Content-Type"] = media_type  # exactly: parameters are refused
        url = self.livekit.require_whip() + path
        return await self.livekit.session.request(method, url, headers, body.encode())


def _failed(method: str, status: int) -> StreamHubError:
    log.warning("livekit refused", method=method, status=status)
    if status == 400:
        return BadRequest("LiveKit does not take this", code="livekit_bad_request", hint="Send a plain WebRTC offer.")
    if status == 404 and method == "PATCH":
        return NotFound("the WHIP session is over", code="whip_session_not_found", hint="Publish again.")
    if status in (401, 403):
        return Unavailable(
            "livekit-server refuses our API key",
            code="livekit_refuses_key",
            hint="Set STREAMHUB_LIVEKIT_API_KEY and STREAMHUB_LIVEKIT_API_SECRET to a pair of that server.",
        )
    return Unavailable(f"livekit-server failed ({status})", code="livekit_failed", retry_after_s=5)
