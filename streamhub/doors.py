"""Which door takes which request: the one routing table outside the web application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from streamhub.errors import NotFound
from streamhub.ingest.camera_ws import CameraDoor
from streamhub.livekit.signal_pipe import is_signal_path
from streamhub.model.names import RoomKey
from streamhub.net.connection import Taken
from streamhub.net.requests import Door, Route
from streamhub.playback.frame import FrameDoor
from streamhub.playback.hls import HlsDoor, Locate
from streamhub.playback.mjpeg import MjpegDoor
from streamhub.playback.poster import PosterDoor
from streamhub.playback.requests import Playback, answer
from streamhub.playback.viewer_ws import ViewerDoor
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.rooms.room import MakePlaceholder
from streamhub.wire.camera import INGEST_PATH
from streamhub.wire.http import format_error
from streamhub.wire.viewer import VIEWER_PATH


def make_route(
    camera: CameraDoor,
    playback: Playback,
    placeholder: MakePlaceholder,
    last_seen: Callable[[RoomKey], Awaitable[datetime | None]],
    signal: Door | None = None,
    hls_elsewhere: Locate | None = None,
) -> Route:
    """The route of the front. Everything it does not claim goes to the web application.

    ``signal`` takes LiveKit's signalling, upgrades and others. ``hls_elsewhere`` knows where HLS is that is not ours.
    """
    sockets: dict[str, Door] = {INGEST_PATH: camera, VIEWER_PATH: ViewerDoor(playback)}
    mjpeg = MjpegDoor(playback)
    frame = FrameDoor(playback, placeholder, last_seen)
    poster = PosterDoor(playback)
    hls = HlsDoor(playback, HlsLeases(playback.hub), hls_elsewhere)

    def route(_method: str, path: str, upgrade: bool) -> Door | None:
        if signal is not None and is_signal_path(path):
            return signal
        if upgrade:
            return sockets.get(path, _no_socket_here)
        if path.startswith("/live/"):
            if path.endswith("/mjpeg"):
                return mjpeg
            if path.endswith("/frame.jpg"):
                return frame
            if path.endswith("/poster.jpg"):
                return poster
        if path.startswith("/hls/"):
            return hls
        if path in sockets:
            return _socket_only
        return None

    return route


def no_doors(_method: str, _path: str, upgrade: bool) -> Door | None:
    """The route of a front that has none but its web application."""
    return _no_socket_here if upgrade else None


async def _no_socket_here(taken: Taken) -> None:
    """A WebSocket upgrade on a path that has none."""
    error = NotFound(
        "no WebSocket at this path",
        code="no_websocket_here",
        hint=f"Cameras connect to {INGEST_PATH}, viewers to {VIEWER_PATH}.",
    )
    await answer(taken, format_error(error, close=True))
    taken.answered = False


async def _socket_only(taken: Taken) -> None:
    """A plain request on a WebSocket's path."""
    error = NotFound(
        "this path speaks WebSocket only",
        code="websocket_only",
        hint="Connect with a WebSocket client; behind a proxy, pass the Upgrade and Connection headers on.",
    )
    await answer(taken, format_error(error, head_only=taken.method == "HEAD", close=not taken.keeps_alive))
