"""One encoder from its publish command to its end: key → grant → an open relay → FLV into it.

Stream keys are never logged, nor are names and addresses that may hold one.
"""

from __future__ import annotations

from typing import TypeVar

import attrs
import trio

from streamhub.errors import StreamHubError, Unauthorized
from streamhub.ingest.limiter import StreamKeyLimits
from streamhub.ingest.rtmp_connection import RtmpConnection, Silent
from streamhub.model.relays import OpensPush, PushAuthority, RelayGrant, SendMedia, SourceOver
from streamhub.observe.log import get_logger
from streamhub.wire.flv import Tag, format_header, format_tag
from streamhub.wire.rtmp.errors import RtmpError
from streamhub.wire.rtmp.publish import BAD_NAME, REJECTED, PublishRequested, Refused

LEAVE_S = 2.0
_UNPUBLISHED = "unpublished"

log = get_logger("rtmp")

_E = TypeVar("_E", bound=Exception)


@attrs.frozen
class _End:
    """How a publication ended. ``tell``: what its encoder does not know yet; ``why``: for the log."""

    reason: str
    tell: str | None = None
    why: str | None = None


@attrs.define(eq=False)
class RtmpPublisher:
    """What every connection shares: who decides, where media goes, and the limits of stream keys."""

    authority: PushAuthority
    relays: OpensPush
    _limits: StreamKeyLimits = attrs.field(factory=lambda: StreamKeyLimits(code="rtmp_too_often"))

    async def publish(self, connection: RtmpConnection, address: str, deadline: float) -> None:
        """Let the encoder publish, if it may; when this returns, the session has the last words for it.

        ``deadline`` is the publish command's, on Trio's clock. Raises RtmpError, Silent and trio.TooSlowError before
        that command, and what the stream raises.
        """
        with trio.fail_at(deadline):
            event = await connection.next()
        if isinstance(event, Refused):
            log.info("refused", ip=address, reason=event.reason, why=event.message)
        if not isinstance(event, PublishRequested):
            return
        try:
            grant = await self._grant(event.key, address)
        except StreamHubError as exc:
            log.info("refused", ip=address, reason=exc.code, why=exc.message)
            connection.session.refuse(_in_words(exc), BAD_NAME)
            return
        about = {"app": grant.room.app, "room": grant.room.room, "ingress": grant.ingress_id, "ip": address}
        log.info("publishing", **about)
        started = trio.current_time()
        end = await self._relay(connection, grant)
        if end.tell is not None:
            connection.session.refuse(end.tell, REJECTED)
        seconds = round(trio.current_time() - started, 1)
        log.info("ended", **about, reason=end.reason, why=end.why, seconds=seconds, bytes=connection.received)
        if end.reason == _UNPUBLISHED:
            # The encoder hangs up first, if it does so soon: some call the server's end a failure.
            with trio.move_on_after(LEAVE_S):
                await connection.next()

    async def _grant(self, key: str, address: str) -> RelayGrant:
        now = trio.current_time()
        try:
            grant = await self.authority.authorise_push(key)
        except Unauthorized:
            self._limits.failed(address, now)
            raise
        self._limits.started(grant.ingress_id, now)
        return grant

    async def _relay(self, connection: RtmpConnection, grant: RelayGrant) -> _End:
        # Whoever opened the source may also end it by cancelling the block: then this is how it ended.
        end = _End("ended", "the server has ended this stream")
        try:
            async with self.relays.push(grant) as send:
                end = await _pump(connection, send)
        except* SourceOver as group:
            over = _first(group)
            end = _End(over.reason, over.message)
        except* StreamHubError as group:
            failure = _first(group)
            end = _End(failure.code, _in_words(failure), failure.message)
        return end


async def _pump(connection: RtmpConnection, send: SendMedia) -> _End:
    """Pass media on until it ends. Nothing but cancellation is raised: the source's block is left in order."""
    connection.session.accept()
    begun = False
    try:
        while True:
            event = await connection.next()
            if isinstance(event, Tag):
                if not begun:
                    await send(format_header(event))
                    begun = True
                await send(format_tag(event))
            elif isinstance(event, Refused):
                return _End(event.reason, why=event.message)
            else:
                return _End("closed" if event is None else _UNPUBLISHED)
    except SourceOver as over:
        return _End(over.reason, over.message)
    except RtmpError as exc:
        return _End("not_understood", "what came is no RTMP that is understood here", str(exc))
    except Silent:
        return _End("silent", "nothing has come for several seconds")
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as exc:
        return _End("broken", why=type(exc).__name__)


def _in_words(error: StreamHubError) -> str:
    """What to show to an encoder; the hints that all errors of a kind have are about HTTP."""
    return error.message if error.hint == type(error).hint else f"{error.message}. {error.hint}"


def _first(group: BaseExceptionGroup[_E]) -> _E:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
