"""The camera door: ``/ingest/ws``. From the upgrade to the last frame of one device.

Order of an accepted camera: takeover of an older connection → limits → the row → ``ready`` → frames. Frames that
arrive before ``ready`` count. Source: contract ``ws-ingest-protocol`` with design §7.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import attrs
import trio

from streamhub.errors import StreamHubError, Unavailable
from streamhub.ingest.camera_session import DEAD, CameraConnection
from streamhub.ingest.limiter import WindowLimiter
from streamhub.model.access import CameraAuthority, CameraGrant, CameraHello, Refusal
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.streams import REPLACED, StatsReported, StreamEnded, StreamEvent, StreamStarted, StreamType
from streamhub.net.connection import DoorWire, Taken
from streamhub.net.shared_reader import SharedReader
from streamhub.net.websocket import ServerSocket, accept
from streamhub.observe.log import get_logger
from streamhub.rooms.hub import Hub
from streamhub.rooms.room import Room
from streamhub.rooms.session import Session
from streamhub.wire.camera import (
    HANDSHAKE_ERROR,
    MAX_CAMERAS,
    MAX_MESSAGE_BYTES,
    RATE_LIMITED,
    ROOM_BUSY,
    parse_hello,
    ready_message,
    refusal_message,
)

FAILED_PER_MINUTE = 60
ACCEPTED_PER_MINUTE = 30
AUTHORISE_DEADLINE_S = 10.0
ROW_DEADLINE_S = 5.0
LAST_STATS_S = 1.0
LINGER_S = 2.0
LINGER_BYTES = 16 * 1024 * 1024

log = get_logger("ingest")


@attrs.define(eq=False)
class CameraDoor:
    """Lets cameras in. ``count`` is told each handshake's outcome (``accepted`` or the refusal's word)."""

    hub: Hub
    authority: CameraAuthority
    emit: Callable[[StreamEvent], Awaitable[None]]
    count: Callable[[str], None]
    clock: WallClock = utc_now
    _reader: SharedReader = attrs.Factory(lambda self: SharedReader(self.clock), takes_self=True)
    _failed: WindowLimiter = attrs.field(factory=lambda: WindowLimiter(FAILED_PER_MINUTE))
    _accepted: WindowLimiter = attrs.field(factory=lambda: WindowLimiter(ACCEPTED_PER_MINUTE))

    async def __call__(self, taken: Taken) -> None:
        """Serve one camera connection from its upgrade to its end."""
        wire = DoorWire(taken.stream)
        socket = accept(taken, MAX_MESSAGE_BYTES)
        if socket.open and not await self._serve(taken, wire, socket):
            return
        await wire.send_last(socket.outgoing(), LINGER_S)
        await wire.linger(LINGER_S, LINGER_BYTES)

    async def _serve(self, taken: Taken, wire: DoorWire, socket: ServerSocket) -> bool:
        """Admit and run the camera; whether it can still be told why it ended (the words wait in ``socket``)."""
        decision: CameraGrant | Refusal | None = await self._decide(taken)
        if isinstance(decision, CameraGrant):
            try:
                async with self.hub.lease(decision.room, publishing=True) as room:
                    decision = await self._publish(room, decision, taken, wire, socket)
            except Unavailable:
                socket.close(1012, "server restart")
        if isinstance(decision, Refusal):
            self.count(decision.message)
            # A flood of bad keys does not fill the log: past the limit it is only counted.
            say = log.debug if decision is RATE_LIMITED else log.info
            say("camera refused", ip=taken.peer.ip, reason=decision.message, **_named(taken))
            socket.text(refusal_message(decision))
            socket.close(decision.close_code, decision.reason)
        return decision is not None

    async def _decide(self, taken: Taken) -> CameraGrant | Refusal:
        """The handshake table. Past the limit of failures an address's bad keys are refused as ``rate_limited``.

        A good key is let in even then: a thousand cameras behind one address must not suffer from one bad one.
        """
        now, ip = trio.current_time(), taken.peer.ip
        hello = parse_hello(taken.query, taken.header(b"authorization"), ip)
        decision = await self._authorise(hello) if isinstance(hello, CameraHello) else hello
        if isinstance(decision, Refusal):
            if self._failed.exceeded(ip, now):
                return RATE_LIMITED
            self._failed.count(ip, now)
            return decision
        if self._accepted.exceeded(decision.key_id, now):
            return RATE_LIMITED
        self._accepted.count(decision.key_id, now)
        return decision

    async def _authorise(self, hello: CameraHello) -> CameraGrant | Refusal:
        try:
            with trio.fail_after(AUTHORISE_DEADLINE_S):
                return await self.authority.authorise_camera(hello)
        except Exception as exc:  # the request boundary: the device is told, in the words of the contract
            log.error("camera handshake failed", app=hello.app, room=hello.room, exc_info=exc)
            return HANDSHAKE_ERROR

    def _admit(self, room: Room, grant: CameraGrant) -> Refusal | None:
        """May this camera be the room's source now? Decided and acted upon without a checkpoint in between."""
        current = room.session
        if current is None:
            most = grant.limits.max_cameras
            return MAX_CAMERAS if 0 < most <= self.hub.camera_count(grant.room.app) else None
        if current.key_id == grant.key_id or grant.takeover:
            current.end(REPLACED)
            return None
        return ROOM_BUSY

    async def _publish(
        self, room: Room, grant: CameraGrant, taken: Taken, wire: DoorWire, socket: ServerSocket
    ) -> CameraGrant | Refusal | None:
        """Run the camera; a Refusal if it may not publish now, None if its peer is dead."""
        if refusal := self._admit(room, grant):
            return refusal
        session = Session(
            grant.room, grant.stream_id, StreamType.WS_MJPEG, grant.identity, grant.key_id, started_at=self.clock()
        )
        replaced = room.session
        room.attach(session)
        connection = CameraConnection(
            room, session, grant.limits, wire, socket, self.hub.totals, self._tell, self._reader
        )
        try:
            self.count("accepted")
            if replaced is not None and replaced.stream_id != session.stream_id:
                await self._tell(StreamEnded(room.key, replaced.stream_id, REPLACED.reason, self.clock()))
            if session.order is None:  # replaced meanwhile, its start would be written after its end
                await self._tell(
                    StreamStarted(
                        room.key, session.stream_id, session.type, session.participant, session.started_at, grant.key_id
                    )
                )
            log.info("camera connected", app=room.key.app, room=room.key.room, stream=grant.stream_id, ip=taken.peer.ip)
            socket.text(ready_message(grant))
            await room.host("ingest", lambda: connection.run(taken.rest))
            if session.order is DEAD or connection.cut:
                return None
            if session.order is not None:
                socket.close(session.order.close_code, session.order.text)
            elif socket.open:
                socket.close(1011, "internal error")  # the error was reported at the room's boundary
        finally:
            try:
                await self._left(room, session, connection.take_unwritten())
            finally:
                session.ended.set()
        return grant

    async def _left(self, room: Room, session: Session, stats: StatsReported | None) -> None:
        """Take the session out of its room; unless another has its place, the row ends with its last figures."""
        ours = room.detach(session)
        reason = session.order.reason if session.order else "closed"
        log.info("camera left", app=room.key.app, room=room.key.room, stream=session.stream_id, reason=reason)
        if not ours:
            return
        with trio.move_on_after(ROW_DEADLINE_S, shield=True):
            if stats is not None:
                with trio.move_on_after(LAST_STATS_S):  # they wait in the ledger then; the end must get there too
                    await self._tell(stats)
            await self._tell(StreamEnded(room.key, session.stream_id, reason, self.clock()))

    async def _tell(self, event: StreamEvent) -> None:
        """Hand an event to the ledger; a database in trouble is reported and does not stop the picture."""
        try:
            with trio.fail_after(ROW_DEADLINE_S):
                await self.emit(event)
        except (StreamHubError, trio.TooSlowError) as exc:
            log.error("cannot write a stream's row", room=event.room.room, exc_info=exc)


def _named(taken: Taken) -> dict[str, str]:
    """App and room as the device spelled them, shortened: they were not checked."""
    return {name: taken.query.get(name, "")[:64] for name in ("app", "room")}
