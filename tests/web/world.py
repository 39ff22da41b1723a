"""One request for every route that succeeds for whoever may make it, and the things it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from streamhub.model.access import Right, Scope
from streamhub.model.ingress import InputType
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import StreamStarted, StreamType
from streamhub.services.apps import NewApp
from streamhub.services.bundle import Services
from streamhub.services.ingress_values import NewIngress
from streamhub.services.keys import NewKey
from streamhub.services.tokens import NewToken
from tests.fakes.hub import FakeHub
from tests.fakes.relay_supervisor import FakeRelays


@attrs.frozen
class Ask:
    """A request: the path below /api/v1 ('//' for the root), the body."""

    path: str
    json: Any = None


@attrs.define
class World:
    services: Services
    hub: FakeHub
    _count: int = 0

    def fresh(self) -> int:
        self._count += 1
        return self._count

    async def key_id(self) -> str:
        app = await self.services.apps.get("live")
        return (await self.services.keys.create(app, NewKey(room=f"cam{self.fresh()}"))).key.id

    async def ingress_id(self) -> str:
        app = await self.services.apps.get("live")
        new = NewIngress(input_type=InputType.WHIP, room=f"room{self.fresh()}")
        return (await self.services.ingress.create(app, new)).ingress.id

    async def token_id(self) -> int:
        new = NewToken(name="to be revoked", scope=Scope.GLOBAL, rights=(Right.READ,))
        return (await self.services.tokens.create(new)).token.id

    async def stream_id(self) -> str:
        room = f"live-cam{self.fresh()}"
        key = RoomKey(AppName("live"), RoomName(room))
        event = StreamStarted(key, f"{room}/cam", StreamType.WS_MJPEG, "cam", self.services.streams.now())
        await self.services.streams.ledger.apply(event)
        self.hub.go_live("live", room, viewers=1)
        return event.stream_id

    async def app_name(self) -> str:
        return (await self.services.apps.create(NewApp(name=f"spare{self.fresh()}"))).name

    async def restore(self) -> None:
        """The app ``live`` is there, whatever was deleted."""
        if await self.services.apps.find("live") is None:
            await self.services.apps.create(NewApp(name="live"))


def fixed(path: str, json: Any = None) -> Callable[[World], Awaitable[Ask]]:
    async def ask(_world: World) -> Ask:
        return Ask(path, json)

    return ask


async def _post_app(world: World) -> Ask:
    return Ask("/apps", {"name": f"app{world.fresh()}", "features": {"wsIngest": {"maxFps": 5}}})


async def _post_key(world: World) -> Ask:
    return Ask("/apps/live/ws-ingest", {"room": f"cam{world.fresh()}"})


async def _post_ingress(world: World) -> Ask:
    return Ask("/apps/live/ingress", {"inputType": "whip", "room": f"room{world.fresh()}"})


async def _probe(world: World) -> Ask:
    FakeRelays().join(world.services.relays)
    return Ask("/apps/live/ingress/test", {"inputType": "rtsp", "url": "rtsp://me:hunter22@192.168.1.20/1"})


def _ingress(tail: str = "", json: Any = None) -> Callable[[World], Awaitable[Ask]]:
    async def ask(world: World) -> Ask:
        return Ask(f"/apps/live/ingress/{await world.ingress_id()}{tail}", json)

    return ask


async def _rotate(world: World) -> Ask:
    return Ask(f"/apps/live/ws-ingest/{await world.key_id()}/rotate")


async def _delete_key(world: World) -> Ask:
    return Ask(f"/apps/live/ws-ingest/{await world.key_id()}")


async def _delete_token(world: World) -> Ask:
    return Ask(f"/tokens/{await world.token_id()}")


async def _stream(world: World) -> Ask:
    return Ask(f"/apps/live/streams/{(await world.stream_id()).replace('/', '%2F')}")


def _hls(tail: str) -> Callable[[World], Awaitable[Ask]]:
    async def make(world: World) -> Ask:
        return Ask(f"{(await _stream(world)).path}/hls{tail}")

    return make


async def _stream_list(world: World) -> Ask:
    await world.stream_id()
    return Ask("/apps/live/streams")


# (method, path as declared) → a request. A route without a row here fails the tests of the table.
ASKS: dict[tuple[str, str], Callable[[World], Awaitable[Ask]]] = {
    ("GET", "/api/v1/health"): fixed("/health"),
    ("GET", "/api/v1/stats"): fixed("/stats"),
    ("GET", "/api/v1/auth/me"): fixed("/auth/me"),
    ("GET", "/metrics"): fixed("//metrics"),
    ("GET", "/api/v1/openapi.json"): fixed("/openapi.json"),
    ("GET", "/api/v1/docs"): fixed("/docs"),
    ("GET", "/api/v1/tokens"): fixed("/tokens"),
    ("POST", "/api/v1/tokens"): fixed("/tokens", {"name": "n", "scope": "app", "app": "live", "rights": ["read"]}),
    ("DELETE", "/api/v1/tokens/<token_id>"): _delete_token,
    ("GET", "/api/v1/apps"): fixed("/apps"),
    ("POST", "/api/v1/apps"): _post_app,
    ("GET", "/api/v1/apps/<app>"): fixed("/apps/live"),
    ("PATCH", "/api/v1/apps/<app>"): fixed("/apps/live", {"displayName": "Changed"}),
    ("DELETE", "/api/v1/apps/<app>"): fixed("/apps/live"),
    ("GET", "/api/v1/apps/<app>/stats"): fixed("/apps/live/stats"),
    ("POST", "/api/v1/apps/<app>/tokens"): fixed("/apps/live/tokens", {"room": "demo", "ttl": 60}),
    ("GET", "/api/v1/apps/<app>/play-token/<room>"): fixed("/apps/live/play-token/cam1"),
    ("GET", "/api/v1/apps/<app>/ingress"): fixed("/apps/live/ingress"),
    ("POST", "/api/v1/apps/<app>/ingress"): _post_ingress,
    ("POST", "/api/v1/apps/<app>/ingress/test"): _probe,
    ("GET", "/api/v1/apps/<app>/ingress/<ingress_id>"): _ingress(),
    ("PATCH", "/api/v1/apps/<app>/ingress/<ingress_id>"): _ingress(json={"enabled": False}),
    ("POST", "/api/v1/apps/<app>/ingress/<ingress_id>/rotate"): _ingress("/rotate"),
    ("DELETE", "/api/v1/apps/<app>/ingress/<ingress_id>"): _ingress(),
    ("GET", "/api/v1/apps/<app>/ws-ingest"): fixed("/apps/live/ws-ingest"),
    ("POST", "/api/v1/apps/<app>/ws-ingest"): _post_key,
    ("POST", "/api/v1/apps/<app>/ws-ingest/<key_id>/rotate"): _rotate,
    ("DELETE", "/api/v1/apps/<app>/ws-ingest/<key_id>"): _delete_key,
    ("GET", "/api/v1/apps/<app>/ws-ingest/live/<room>"): fixed("/apps/live/ws-ingest/live/cam1"),
    ("GET", "/api/v1/apps/<app>/streams"): _stream_list,
    ("GET", "/api/v1/apps/<app>/streams/<path:stream_id>"): _stream,
    ("DELETE", "/api/v1/apps/<app>/streams/<path:stream_id>"): _stream,
    ("POST", "/api/v1/apps/<app>/streams/<path:stream_id>/hls/start"): _hls("/start"),
    ("POST", "/api/v1/apps/<app>/streams/<path:stream_id>/hls/stop"): _hls("/stop"),
    ("GET", "/api/v1/apps/<app>/streams/<path:stream_id>/hls"): _hls(""),
}
