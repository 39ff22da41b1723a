"""An accepted camera connection: frames in, pings out, until one side ends it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import attrs
import trio

from streamhub.model.access import CameraLimits
from streamhub.model.clock import iso_ms
from streamhub.model.streams import EndOrder, StatsReported, StreamEvent
from streamhub.net.connection import DoorWire
from streamhub.net.websocket import Opcode, ServerSocket
from streamhub.rooms.hub import Totals
from streamhub.rooms.room import Room
from streamhub.rooms.session import Session
from streamhub.wire.camera import (
    IDLE_CHECK_S,
    MISSED_PONGS,
    PING_INTERVAL_S,
    FrameGate,
    Verdict,
    error_message,
    parse_stats,
)

READ_BYTES = 65536
SEND_DEADLINE_S = 10.0
# Stats are written to the row at most this often; the newest are always in memory.
STATS_ROW_EVERY_S = 5.0

TOO_LARGE = EndOrder(4413, "frame too large", "frame_too_large")
INVALID_FRAMES = EndOrder(1003, "unsupported data", "invalid_frames")
IDLE = EndOrder(4408, "idle timeout", "idle_timeout")
# Nothing more is sent to such a peer (1006 never goes over the wire, RFC 6455 §7.4.1).
DEAD = EndOrder(1006, "", "connection_lost")


@attrs.define(eq=False)
class CameraConnection:
    """Reads one camera until it leaves, breaks a rule, or ``session.end`` is called."""

    room: Room
    session: Session
    limits: CameraLimits
    wire: DoorWire
    socket: ServerSocket
    totals: Totals
    tell: Callable[[StreamEvent], Awaitable[None]]
    gate: FrameGate = attrs.field(init=False)
    _missed_pongs: int = 0
    _last_accepted: float = 0.0
    _stats_row_at: float = float("-inf")
    _sending: trio.Lock = attrs.field(factory=trio.Lock)

    def __attrs_post_init__(self) -> None:
        self.gate = FrameGate(self.limits)

    async def run(self, first: bytes) -> None:
        """Run until the connection's end; ``first`` are the bytes that came with the upgrade."""
        self._last_accepted = trio.current_time()
        with self.session.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pings)
                nursery.start_soon(self._idle_check)
                await self._read(first)
                nursery.cancel_scope.cancel()

    async def _read(self, data: bytes) -> None:
        while await self._send():  # first of all the handshake's answer and `ready`
            if not self.socket.open:
                return
            if not data:
                data = await self._receive()
            if not data:
                self.socket.receive(b"")
                return
            await self._take(data)
            data = b""

    async def _receive(self) -> bytes:
        """Some bytes; b"" when the peer is gone, politely or not."""
        try:
            return await self.wire.receive(READ_BYTES)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def _take(self, data: bytes) -> None:
        newest: bytes | None = None
        for opcode, message in self.socket.receive(data):
            if opcode is Opcode.BINARY:
                now = trio.current_time()
                verdict = self.gate.judge(message, now)
                if verdict is Verdict.ACCEPT:
                    self._last_accepted = now
                    self.totals.frames += 1
                    self.totals.bytes += len(message)
                    if newest is not None:
                        self.session.superseded(newest, now)
                    newest = message
                else:
                    self._dropped(verdict)
            elif opcode is Opcode.TEXT:
                await self._stats(message)
            else:
                self._missed_pongs = 0
            if self.session.order is not None:
                break
        if newest is not None:
            await self.room.publish(self.session, newest)

    def _dropped(self, verdict: Verdict) -> None:
        reason = Verdict.NOT_JPEG.value if verdict is Verdict.INVALID_RUN else verdict.value
        self.session.drop(reason)
        self.totals.drop(reason)
        if verdict is Verdict.TOO_LARGE:
            self._fail(TOO_LARGE, "frame_too_large", f"max {self.limits.max_frame_bytes} bytes")
        elif verdict is Verdict.INVALID_RUN:
            self._fail(INVALID_FRAMES, "invalid_frames", "not JPEG data")

    def _fail(self, order: EndOrder, code: str, message: str) -> None:
        """Tell the device why, then end; the door sends the close."""
        self.socket.text(error_message(code, message))
        self.session.end(order)

    async def _stats(self, message: bytes) -> None:
        stats = parse_stats(message)
        if stats is None:
            return
        now, wall = trio.current_time(), self.room.clock()
        stats |= {
            "live": True,
            "framesReceived": self.session.meter.frames,
            "framesDroppedFps": self.session.dropped.get("fps", 0),
            "viewers": len(self.room.viewers),
            "ts": iso_ms(wall),
        }
        self.session.stats_json = json.dumps(stats)
        if now - self._stats_row_at >= STATS_ROW_EVERY_S:
            self._stats_row_at = now
            await self.tell(StatsReported(self.room.key, self.session.stream_id, self.session.stats_json, wall))

    async def _pings(self) -> None:
        """A ping every 15 s; at the tick that finds two unanswered the peer is dead."""
        while True:
            await trio.sleep(PING_INTERVAL_S)
            if self._missed_pongs >= MISSED_PONGS:
                self.session.end(DEAD)
                return
            self._missed_pongs += 1
            self.socket.ping()
            await self._send()

    async def _idle_check(self) -> None:
        while True:
            await trio.sleep(IDLE_CHECK_S)
            if trio.current_time() - self._last_accepted > self.limits.idle_timeout_s:
                self._fail(IDLE, "idle_timeout", "no frames received")
                return

    async def _send(self) -> bool:
        """Send what is queued; False, and the session ordered to end, if the peer does not take it."""
        async with self._sending:
            data = self.socket.outgoing()
            try:
                with trio.fail_after(SEND_DEADLINE_S):
                    if data:
                        await self.wire.send_all(data)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                self.session.end(DEAD)
                return False
            return True
