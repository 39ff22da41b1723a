"""The media half of the server in one process: front, doors and hub, with an authority that tests fill in."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from ipaddress import ip_network

import attrs
import trio
from hypercorn.utils import wrap_app
from PIL import Image

from streamhub.doors import make_route
from streamhub.errors import NotFound, Unauthorized
from streamhub.ingest.camera_ws import CameraDoor
from streamhub.model.access import CameraGrant, CameraHello, CameraLimits, Refusal, ViewerLimits, ViewGrant
from streamhub.model.names import AppName, RoomKey, namespaced
from streamhub.model.streams import StreamEvent
from streamhub.model.urls import Base
from streamhub.net.front import Front
from streamhub.net.hypercorn import hypercorn_config
from streamhub.net.listeners import open_tcp
from streamhub.net.peers import Peers
from streamhub.playback.placeholder import draw
from streamhub.playback.requests import Playback
from streamhub.rooms.hls_files import HlsFiles
from streamhub.rooms.hub import Hub
from streamhub.rooms.passed_on import Carriers

APP = AppName("live")
# Who sends for the doors in a large room, if a test fills it in.
carriers: Carriers | None = None


def jpeg(shade: int = 0, size: tuple[int, int] = (32, 24), pad: int = 0) -> bytes:
    """A small real JPEG; ``pad`` bytes of zeros follow its end."""
    out = io.BytesIO()
    Image.new("RGB", size, (shade % 256, 80, 120)).save(out, "JPEG")
    return out.getvalue() + b"\0" * pad


def room_key(name: str = "cam1") -> RoomKey:
    return RoomKey(APP, namespaced(APP, name))


@attrs.define
class Authority:
    """Knows the app ``live`` and keys of the form ``wsk_<room>_<n>``."""

    limits: CameraLimits = attrs.field(factory=CameraLimits)
    viewer_limits: ViewerLimits = attrs.field(factory=ViewerLimits)
    takeover: set[str] = attrs.field(factory=set)
    private: bool = False
    asked: list[CameraHello] = attrs.field(factory=list)

    async def authorise_camera(self, hello: CameraHello) -> CameraGrant | Refusal:
        self.asked.append(hello)
        await trio.lowlevel.checkpoint()
        if hello.app != APP:
            return Refusal(4401, "unknown_app")
        parts = hello.key.split("_")
        if len(parts) != 3:
            return Refusal(4401, "invalid_key")
        if namespaced(APP, parts[1]) != namespaced(APP, hello.room):
            return Refusal(4401, "room_mismatch")
        return CameraGrant(
            room_key(hello.room),
            f"wsi_{hello.key}",
            hello.identity or f"wscam-{hello.key[-6:]}",
            self.limits,
            hello.key in self.takeover,
        )

    async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
        await trio.lowlevel.checkpoint()
        return self.viewer_at_once(app, room, token)

    def viewer_at_once(self, app: str, room: str, token: str | None) -> ViewGrant:
        if app != APP:
            raise NotFound(f"no app '{app}'")
        if self.private and token != "good":
            raise Unauthorized("play token required")
        return ViewGrant(room_key(room), self.viewer_limits, private=self.private)


@attrs.define(eq=False)
class Media:
    """A running media server on loopback; ``events`` is what the ledger was told, ``results`` the handshakes."""

    port: int
    hub: Hub
    front: Front
    authority: Authority
    door: CameraDoor
    events: list[StreamEvent] = attrs.field(factory=list)
    results: list[str] = attrs.field(factory=list)
    last_seen: dict[RoomKey, datetime] = attrs.field(factory=dict)


async def _hello(scope: dict[str, object], receive: object, send: object) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b"hello"})  # type: ignore[operator]


async def _placeholder(key: RoomKey, state: object, since: object, size: tuple[int, int] | None) -> bytes:
    """As the real one, but drawn inline: a thread would count as idle for an autojump clock."""
    await trio.lowlevel.checkpoint()
    return draw(key.room, state, since, (160, 120))  # type: ignore[arg-type]


@asynccontextmanager
async def serve_media(authority: Authority | None = None, hls_files: HlsFiles | None = None) -> AsyncIterator[Media]:
    """The media server, stopped at the end of the block."""
    authority = authority or Authority()
    events: list[StreamEvent] = []
    results: list[str] = []
    seen: dict[RoomKey, datetime] = {}

    async def emit(event: StreamEvent) -> None:
        await trio.lowlevel.checkpoint()
        events.append(event)

    async def last_seen(key: RoomKey) -> datetime | None:
        await trio.lowlevel.checkpoint()
        return seen.get(key)

    hub = Hub(emit, _placeholder, last_seen, hls_files=hls_files)
    listener, address = open_tcp("127.0.0.1", 0, setting="test")
    door = CameraDoor(hub, authority, emit, results.append)
    base = Base("http", str(address))
    front = Front(
        wrap_app(_hello, 0, "asgi"),  # type: ignore[arg-type]
        hypercorn_config(),
        make_route(door, Playback(hub, authority, carriers), _placeholder, last_seen),
        Peers([ip_network("127.0.0.0/8")], base),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        await nursery.start(front.serve, [listener])
        yield Media(address.port, hub, front, authority, door, events, results, seen)
        front.stop_accepting()
        await hub.shutdown(1)
        await front.stop(0.5)
        nursery.cancel_scope.cancel()
