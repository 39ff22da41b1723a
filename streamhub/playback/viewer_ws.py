"""The viewer socket: ``/live/ws?app=&room=[&token=][&fps=]``. State as text, pictures as binary (additions §3).

With ``pictures=camera`` those of a camera alone: what a page plays by WebRTC need not be decoded for it.
"""

from __future__ import annotations

import math

import attrs
import trio

from streamhub.errors import Forbidden, Invalid, NotFound, StreamHubError, TooMany, Unauthorized, Unavailable
from streamhub.net.connection import DoorWire, Taken
from streamhub.net.websocket import Opcode, ServerSocket, accept
from streamhub.playback.requests import Playback, interval_of
from streamhub.rooms.passed_on import PassedOn
from streamhub.rooms.room import Output, Room
from streamhub.rooms.viewer import Viewer
from streamhub.wire.viewer import state_message, viewer_refusal

MOST_MESSAGE_BYTES = 65536
PING_INTERVAL_S = 15.0
MISSED_PONGS = 2
CLOSE_S = 1.0
_REFUSALS: dict[type[StreamHubError], tuple[int, str]] = {
    NotFound: (4401, "unknown_app"),
    Unauthorized: (4401, "playback_unauthorized"),
    Forbidden: (4401, "playback_unauthorized"),
    Invalid: (4401, "invalid_params"),
    TooMany: (4429, "too_many_viewers"),
    Unavailable: (1013, "try again later"),
}
_EXPIRED = (4401, "playback_unauthorized")
_STOPPING = {"stopping", "room_closing"}


def _refusal(error: StreamHubError) -> tuple[int, str]:
    if error.code in _STOPPING:
        return 1012, "server restart"
    for kind, refusal in _REFUSALS.items():
        if isinstance(error, kind):
            return refusal
    return 4401, "handshake_error"


def _state_of(room: Room) -> str:
    participant = None if room.session is None else room.session.participant
    return state_message(room.shown, room.state, participant, room.published, hls=room.hls.is_offered)


@attrs.define(eq=False)
class _Side:
    """The viewer's WebSocket beside the pictures: handshake answer, state messages, pings."""

    socket: ServerSocket
    room: Room
    _version: int = -1
    _ping_at: float = attrs.field(factory=lambda: trio.current_time() + PING_INTERVAL_S)
    _missed: int = 0

    def received(self, data: bytes) -> bool:
        for opcode, _ in self.socket.receive(data):
            if opcode is Opcode.PONG:
                self._missed = 0
        return bool(data) and self.socket.open

    def pending(self) -> bytes:
        if self._version != self.room.state_version:
            self._version = self.room.state_version
            self.socket.text(_state_of(self.room))
        if trio.current_time() >= self._ping_at:
            self._ping_at = trio.current_time() + PING_INTERVAL_S
            self._missed += 1
            self.socket.ping()
        return self.socket.outgoing()

    def next_at(self) -> float:
        return self._ping_at if self.socket.open else -math.inf

    def alive(self) -> bool:
        return self.socket.open and self._missed <= MISSED_PONGS


@attrs.frozen(eq=False)
class ViewerDoor:
    """Serves viewer sockets; each becomes one task of its room."""

    playback: Playback

    async def __call__(self, taken: Taken) -> None:
        """Refuse by message and close, or hand the connection to the room and return."""
        socket = accept(taken, MOST_MESSAGE_BYTES)
        wire = DoorWire(taken.stream)
        if socket.open:
            try:
                return await self._open(taken, socket)
            except StreamHubError as exc:
                code, word = _refusal(exc)
            socket.text(viewer_refusal(code, word))
            socket.close(code, word)
        await wire.send_last(socket.outgoing(), CLOSE_S)
        await wire.linger(CLOSE_S, MOST_MESSAGE_BYTES)
        return None

    async def _open(self, taken: Taken, socket: ServerSocket) -> None:
        app, name = taken.query.get("app", ""), taken.query.get("room", "")
        if not app or not name:
            raise Invalid("app and room are needed")
        interval_s = interval_of(taken.query)
        output: Output = "camera_ws" if taken.query.get("pictures") == "camera" else "ws"
        grant = await self.playback.grant(app, name, taken.query.get("token"))

        def side(room: Room) -> _Side:
            talk = _Side(socket, room)
            if taken.rest:
                talk.received(taken.rest)
            return talk

        async def farewell(viewer: Viewer | PassedOn, wire: DoorWire) -> None:
            if viewer.end_reason in ("expired", "withdrawn"):  # access ended: ask again, and be told why not
                socket.text(viewer_refusal(*_EXPIRED))
                socket.close(*_EXPIRED)
            socket.close(1012 if viewer.end_reason == "dismissed" else 1000)
            await wire.send_last(socket.outgoing(), CLOSE_S)

        await self.playback.seat(taken, grant, output, side, interval_s, farewell)
