"""One camera: connects, sends frames in time, keeps itself connected, and says how it goes."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable
from typing import TypeAlias

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from streamhub.errors import StreamHubError
from streamhub.simulator.backoff import Backoff
from streamhub.simulator.connection import Dial, LinkFailed, dial, open_camera_socket
from streamhub.simulator.pace import RateMeter, Schedule
from streamhub.simulator.protocol import (
    CameraRefused,
    Complaint,
    Ready,
    explain_close,
    format_stats,
    is_final,
    parse_message,
)
from streamhub.simulator.sources import FrameSource
from streamhub.simulator.target import Target

READY_S = 10.0
SEND_S = 10.0
STATS_S = 30.0
REPORT_S = 0.5
# As the reference sketch: a ping every 15 s; generous for the answer, which waits behind a frame on a slow link.
PING_S, PONG_S = 15.0, 20.0


class CameraState(enum.Enum):
    """What a camera is doing."""

    CONNECTING = "connecting"
    STREAMING = "streaming"
    WAITING = "waiting"
    ENDED = "ended"


@attrs.frozen(kw_only=True)
class CameraOptions:
    """What a camera is told. ``frames``: stop after so many (None: never). ``keep_trying``: refusals are not final."""

    target: Target
    key: str = attrs.field(repr=False)
    fps: float = 10.0
    frames: int | None = None
    insecure: bool = False
    keep_trying: bool = False


@attrs.frozen
class Progress:
    """A camera's state now. ``dropped``: frames it had to leave out, since the link was slow or they were too large."""

    state: CameraState
    fps: float
    bytes_per_s: float
    sent: int
    bytes_sent: int
    dropped: int
    reconnects: int
    detail: str = ""
    hint: str = ""


Report: TypeAlias = Callable[[Progress], None]


async def run_camera(
    options: CameraOptions,
    source: FrameSource,
    *,
    report: Report,
    dial: Dial = dial,
    rng: random.Random | None = None,
) -> None:
    """Send frames until ``options.frames`` are sent, else until cancelled.

    ``report`` is called twice a second and on changes; it must not block. Raises CameraRefused when the server closes
    with 4401 (but for a failure of its own), 4403 or 4413 (unless ``keep_trying``), SourceFailed when there are no
    frames. Everything else is tried again for ever. On cancellation the socket is closed with 1000.
    """
    camera = _Camera(options, source, report, dial, rng or random.Random())
    failure: StreamHubError | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(camera.run_reports)
            failure = await camera.run()
            nursery.cancel_scope.cancel()
    finally:
        camera.tell(CameraState.ENDED, str(failure or ""), failure.hint if failure else "")
    if failure is not None:
        raise failure


@attrs.frozen
class _End:
    """Why a connection is over. ``failure``: not to be tried again."""

    detail: str
    hint: str = ""
    failure: StreamHubError | None = None
    done: bool = False


@attrs.define
class _Camera:
    options: CameraOptions
    source: FrameSource
    report: Report
    dial: Dial
    rng: random.Random
    rate: RateMeter = attrs.field(factory=RateMeter)
    state: CameraState = CameraState.CONNECTING
    detail: str = ""
    hint: str = ""
    sent: int = 0
    bytes_sent: int = 0
    dropped: int = 0
    reconnects: int = 0
    ready_at: float | None = None

    def tell(self, state: CameraState, detail: str = "", hint: str = "") -> None:
        """Change the state and report it."""
        self.state, self.detail, self.hint = state, detail, hint
        fps, bytes_per_s = self.rate.rates(trio.current_time())
        counts = (self.sent, self.bytes_sent, self.dropped, self.reconnects)
        self.report(Progress(state, fps, bytes_per_s, *counts, detail, hint))

    async def run_reports(self) -> None:
        while True:
            await trio.sleep(REPORT_S)
            self.tell(self.state, self.detail, self.hint)

    async def run(self) -> StreamHubError | None:
        """Connect again and again; returns what makes it pointless, or None when all frames are sent."""
        backoff = Backoff(random=self.rng)
        while True:
            # While trying again the reason of the last failure stays on the screen.
            self.tell(CameraState.CONNECTING, self.detail, self.hint)
            end = await self._connect_once()
            self.rate.reset()
            if end.done or end.failure:
                return end.failure
            ran_s = trio.current_time() - self.ready_at if self.ready_at is not None else 0.0
            self.ready_at = None
            self.tell(CameraState.WAITING, end.detail, end.hint)
            await trio.sleep(backoff.next_delay(ran_s))
            self.reconnects += 1

    async def _connect_once(self) -> _End:
        options = self.options
        try:
            async with open_camera_socket(
                options.target, options.key, insecure=options.insecure, dial=self.dial
            ) as socket:
                end = await self._session(socket)
        except LinkFailed as exc:
            end = _End(str(exc), exc.hint)
        return end

    async def _session(self, socket: WebSocketConnection) -> _End:
        ends: list[_End] = []

        async with trio.open_nursery() as nursery:

            def finish(end: _End) -> None:
                ends.append(end)
                nursery.cancel_scope.cancel()

            nursery.start_soon(self._read, socket, nursery, finish)
        return ends[0]

    async def _read(self, socket: WebSocketConnection, nursery: trio.Nursery, finish: Callable[[_End], None]) -> None:
        """Follow what the server says; frames flow from ``ready`` on. The only place that sees how it closed."""
        complaint: Complaint | None = None
        with trio.CancelScope(deadline=trio.current_time() + READY_S) as patience:
            try:
                while True:
                    message = await socket.get_message()
                    match parse_message(message) if isinstance(message, str) else None:
                        case Ready() as ready if self.ready_at is None:
                            patience.deadline = float("inf")
                            self.ready_at = trio.current_time()
                            self.tell(CameraState.STREAMING)
                            nursery.start_soon(self._send_frames, socket, ready, finish)
                            nursery.start_soon(self._send_stats, socket)
                            nursery.start_soon(self._ping, socket, finish)
                        case Complaint() as complaint:
                            pass
            except ConnectionClosed as closed:
                finish(self._judge(closed, complaint))
        if patience.cancelled_caught:
            finish(_End(f"the server did not say 'ready' in {READY_S:g} s", "Check that this is a StreamHub server."))

    def _judge(self, closed: ConnectionClosed, complaint: Complaint | None) -> _End:
        code = closed.reason.code if closed.reason else 1006
        detail, hint = explain_close(code, closed.reason.reason if closed.reason else None, complaint)
        final = is_final(code, closed.reason.reason if closed.reason else None) and not self.options.keep_trying
        return _End(detail, hint, CameraRefused(detail, hint=hint) if final else None)

    async def _send_frames(self, socket: WebSocketConnection, ready: Ready, finish: Callable[[_End], None]) -> None:
        """One frame a slot, made when its slot comes: a slow link loses slots and never sends an old picture."""
        schedule = Schedule(trio.current_time(), 1 / min(self.options.fps, ready.max_fps))
        send_s = 0.0
        try:
            while self.options.frames is None or self.sent < self.options.frames:
                due, missed = schedule.next_slot(trio.current_time())
                # Slots missed because the source had nothing are no loss of the link's.
                self.dropped += min(missed, math.floor(send_s / schedule.interval))
                await trio.sleep_until(due)
                frame = await self._frame_within(ready.max_frame_bytes)
                if frame is None:
                    self.dropped += 1
                    continue
                began = trio.current_time()
                with trio.fail_after(SEND_S):
                    await socket.send_message(frame)
                send_s = trio.current_time() - began
                self.sent += 1
                self.bytes_sent += len(frame)
                self.rate.add(trio.current_time(), len(frame))
        except ConnectionClosed:
            return  # the reader knows why
        except trio.TooSlowError:
            finish(_End(f"the server took no data for {SEND_S:g} s"))
        except StreamHubError as exc:
            finish(_End(str(exc), exc.hint, exc))
        else:
            finish(_End("all frames are sent", done=True))

    async def _frame_within(self, most_bytes: int) -> bytes | None:
        frame = await self.source.next_frame()
        while len(frame) > most_bytes:
            if not self.source.lower_quality():
                self.detail, self.hint = f"frames exceed the server's {most_bytes} bytes", "Use a smaller --size."
                return None
            frame = await self.source.next_frame()
        return frame

    async def _send_stats(self, socket: WebSocketConnection) -> None:
        """Figures as an ESP32 sends them; signal and free memory wander as theirs do."""
        rssi, heap_free = self.rng.randint(-70, -50), self.rng.randint(140_000, 180_000)
        while True:
            await trio.sleep(STATS_S)
            rssi = min(max(rssi + self.rng.randint(-3, 3), -85), -40)
            heap_free = min(max(heap_free + self.rng.randint(-2_000, 2_000), 90_000), 200_000)
            fps, _ = self.rate.rates(trio.current_time())
            try:
                await socket.send_message(format_stats(fps=fps, rssi=rssi, heap_free=heap_free, frames=self.sent))
            except ConnectionClosed:
                return

    async def _ping(self, socket: WebSocketConnection, finish: Callable[[_End], None]) -> None:
        try:
            while True:
                await trio.sleep(PING_S)
                with trio.fail_after(PONG_S):
                    await socket.ping()
        except ConnectionClosed:
            return
        except trio.TooSlowError:
            finish(_End(f"no answer to a ping for {PONG_S:g} s"))
