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
from streamhub.net.shared_reader import SharedReader
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

SEND_DEADLINE_S = 10.0
# The one clock of a connection: silence is looked for, and new stats are written to the row, this often.
TICK_S = IDLE_CHECK_S
TICKS_PER_PING = round(PING_INTERVAL_S / TICK_S)

TOO_LARGE = EndOrder(4413, "frame too large", "frame_too_large")
INVALID_FRAMES = EndOrder(1003, "unsupported data", "invalid_frames")
IDLE = EndOrder(4408, "idle timeout", "idle_timeout")
# Nothing more is sent to such a peer (1006 never goes over the wire, RFC 6455 §7.4.1).
DEAD = EndOrder(1006, "", "connection_lost")


@attrs.define(eq=False)
class CameraConnection:
    """Reads one camera until it leaves, breaks a rule, or ``session.end`` is called.

    ``cut``: a send ended in the midst of its bytes, so nothing may follow.
    """

    room: Room
    session: Session
    limits: CameraLimits
    wire: DoorWire
    socket: ServerSocket
    totals: Totals
    tell: Callable[[StreamEvent], Awaitable[None]]
    reader: SharedReader
    gate: FrameGate = attrs.field(init=False)
    cut: bool = False
    _gone: bool = False
    _taken: bool = False  # there is a picture that the viewers have not been offered
    _crowded: bool = False
    _missed_pongs: int = 0
    _last_accepted: float = 0.0
    _unwritten: StatsReported | None = None
    _sending: trio.Lock = attrs.field(factory=trio.Lock)

    def __attrs_post_init__(self) -> None:
        self.gate = FrameGate(self.limits)

    async def run(self, first: bytes) -> None:
        """Run until the connection's end; ``first`` are the bytes that came with the upgrade."""
        self._last_accepted = trio.current_time()
        with self.reader.opened(), self.session.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._clock)
                await self._read(first)
                nursery.cancel_scope.cancel()

    async def _read(self, first: bytes) -> None:
        # First of all the handshake's answer and `ready`; later nearly never: a camera's frames are not answered.
        while not self.socket.has_outgoing or await self._send():
            if not self.socket.open:
                return
            if first:
                self.reader.look()
                self._take(first)
                self._offer()
                first = b""
            else:
                await self.wire.feed(self.reader, self._take, self._offer)
            if self._gone:
                self.session.end(DEAD)  # no close frame: whatever it was, the device did not mean to leave
                return
            if self._crowded:
                self._crowded = False
                await self.room.spread()

    def _take(self, data: bytes | memoryview) -> bool:
        """Take what came; False if there is something to await, or to end, now."""
        if not data:
            self._gone = True
            return False
        session, socket, totals = self.session, self.socket, self.totals
        if self._told_to_end():
            return False
        newest: bytes | None = None
        texts: list[bytes] = []
        now = self.reader.now
        for opcode, message in socket.receive(data):
            if opcode is Opcode.BINARY:
                verdict = self.gate.judge(message, now)
                if verdict is Verdict.ACCEPT:
                    self._last_accepted = now
                    totals.frames += 1
                    totals.bytes += len(message)
                    if newest is not None:
                        session.superseded(newest, now)
                        self._count_drop("superseded")
                    newest = message
                else:
                    self._dropped(verdict)
            elif opcode is Opcode.TEXT:
                texts.append(message)
            else:
                self._missed_pongs = 0
            if self._told_to_end():
                break
        if newest is not None:
            self._taken = self.room.put(session, newest, now, self.reader.wall)
        for text in texts:  # after the picture: they count it
            self._stats(text)
        if (missing := socket.missing) != self.wire.expected:
            self.wire.expect(missing)
        return socket.settled and not self._told_to_end()

    def _offer(self) -> bool:
        """Offer a picture that was taken to the viewers; False if they are too many to do that at once."""
        if self._taken:
            self._taken = False
            self._crowded = not self.room.offer()
        return not self._crowded

    def _told_to_end(self) -> bool:
        return self.session.order is not None

    def _count_drop(self, reason: str) -> None:
        self.session.drop(reason)
        self.totals.drop(reason)

    def _dropped(self, verdict: Verdict) -> None:
        self._count_drop(Verdict.NOT_JPEG.value if verdict is Verdict.INVALID_RUN else verdict.value)
        if verdict is Verdict.TOO_LARGE:
            self._fail(TOO_LARGE, "frame_too_large", f"max {self.limits.max_frame_bytes} bytes")
        elif verdict is Verdict.INVALID_RUN:
            self._fail(INVALID_FRAMES, "invalid_frames", "not JPEG data")

    def _fail(self, order: EndOrder, code: str, message: str) -> None:
        """Tell the device why, then end; the door sends the close."""
        self.socket.text(error_message(code, message))
        self.session.end(order)

    def _stats(self, message: bytes) -> None:
        stats = parse_stats(message)
        if stats is None:
            return
        wall = self.room.clock()
        stats |= {
            "live": True,
            "framesReceived": self.session.meter.frames,
            "framesDroppedFps": self.session.dropped.get("fps", 0),
            "viewers": len(self.room.viewers),
            "ts": iso_ms(wall),
        }
        self.session.stats_json = json.dumps(stats)
        self._unwritten = StatsReported(self.room.key, self.session.stream_id, self.session.stats_json, wall)

    def take_unwritten(self) -> StatsReported | None:
        """The newest stats if the row does not have them yet; the caller writes them."""
        stats, self._unwritten = self._unwritten, None
        return stats

    async def _clock(self) -> None:
        """All that time does, in one small task: a ping every 15 s, the check for silence, the stats' row."""
        started, ticks = trio.current_time(), 0
        while True:
            ticks += 1
            await trio.sleep_until(started + ticks * TICK_S)
            # The ping first: a camera that is silent for 30 s gets its second one (contract §9).
            if ticks % TICKS_PER_PING == 0 and not await self._ping():
                return
            if trio.current_time() - self._last_accepted > self.limits.idle_timeout_s:
                self._fail(IDLE, "idle_timeout", "no frames received")
                return
            if stats := self.take_unwritten():
                await self.tell(stats)

    async def _ping(self) -> bool:
        """One ping; False if two went unanswered: the peer is dead, and nothing more is sent to it."""
        if self._missed_pongs >= MISSED_PONGS:
            self.session.end(DEAD)
            return False
        self._missed_pongs += 1
        self.socket.ping()
        return await self._send()

    async def _send(self) -> bool:
        """Send what is queued; False, and the session ordered to end, if the peer does not take it."""
        async with self._sending:
            # The last place to be cancelled before bytes go out: what is taken from the socket must be sent, or
            # the next send would begin in the middle, at worst with a close and no handshake before it.
            await trio.lowlevel.checkpoint_if_cancelled()
            data = self.socket.outgoing()
            if not data:
                return True
            self.cut = True
            try:
                with trio.fail_after(SEND_DEADLINE_S):
                    await self.wire.send_all(data)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                self.session.end(DEAD)
                return False
            self.cut = False
            return True
