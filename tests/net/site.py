"""A front with a small web application behind it and the media doors before it, on any kind of listener."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from ipaddress import ip_network
from typing import Any

import attrs
import trio
from hypercorn.utils import wrap_app

from streamhub.doors import make_route
from streamhub.ingest.camera_ws import CameraDoor
from streamhub.model.names import RoomKey
from streamhub.model.streams import State, StreamEvent
from streamhub.model.urls import Base
from streamhub.net.front import Front
from streamhub.net.hypercorn import hypercorn_config
from streamhub.net.listeners import open_tcp
from streamhub.net.peers import Peers, PeerScope
from streamhub.playback.requests import Playback
from streamhub.rooms.hub import Hub
from tests.support.media import Authority, jpeg

BIG = bytes(range(251)) * 120_000


async def web(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """``/big`` is a large body, ``/fail`` raises, ``/cut`` later, ``/ip`` tells the caller; else method, path, size."""
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path == "/fail":
        raise RuntimeError("a bug in the application")
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    peer = scope["streamhub.peer"]
    answer = f"{scope['method']} {path} {len(body)}".encode()
    if path == "/ip":
        answer = f"{peer.ip} {peer.base.http}".encode()
    if path == "/big":
        answer = BIG
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/cut":
        raise RuntimeError("a bug in what makes the body")
    await send({"type": "http.response.body", "body": answer})


@attrs.define(eq=False)
class Site:
    """The running front."""

    front: Front
    hub: Hub
    port: int


@asynccontextmanager
async def open_site(
    *, tls: ssl.SSLContext | None = None, listener: trio.SocketListener | None = None
) -> AsyncIterator[Site]:
    async def emit(_event: StreamEvent) -> None:
        await trio.lowlevel.checkpoint()

    async def last_seen(_key: RoomKey) -> datetime | None:
        await trio.lowlevel.checkpoint()
        return None

    async def placeholder(_key: RoomKey, state: State, *_: object) -> bytes:
        await trio.lowlevel.checkpoint()
        return jpeg(len(state.value))

    port = 0
    if listener is None:
        listener, address = open_tcp("127.0.0.1", 0, setting="test")
        port = address.port
    hub, authority = Hub(emit, placeholder, last_seen), Authority()
    peers = Peers([ip_network("127.0.0.0/8")], Base("http", "own.test"))
    door = CameraDoor(hub, authority, emit, lambda _: None)
    route = make_route(door, Playback(hub, authority), placeholder, last_seen)
    front = Front(wrap_app(PeerScope(web, peers), 0, "asgi"), hypercorn_config(), route, peers, tls)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        await nursery.start(front.serve, [listener])
        yield Site(front, hub, port)
        await hub.shutdown(1)
        await front.stop(0.2)
        nursery.cancel_scope.cancel()
