"""LiveKit's ingresses in a dict: what ``ingest.livekit_ingress`` and ``services.livekit_ingress`` ask of LiveKit."""

from __future__ import annotations

from typing import Any

import attrs
import trio

from streamhub.errors import NotFound, Unavailable
from streamhub.livekit.ingresses import IngressWish, LiveIngress
from streamhub.model.ingress import BookedIngress, IngressState, InputType


def live(livekit_id: str = "IN_lk1", **more: Any) -> LiveIngress:
    values = {
        "id": livekit_id,
        "input_type": InputType.RTMP,
        "room": "live-a",
        "identity": "ingress-live",
        "url": "rtmp://lk.example/x",
        "stream_key": "AbCdEfGhIjKl",
        "enabled": True,
        "reusable": True,
        "transcoded": True,
        "state": IngressState.INACTIVE,
        "error": "",
        "started_at": None,
        "bitrate": None,
        "width": None,
        "height": None,
    }
    return LiveIngress(**{**values, **more})


@attrs.define
class FakeIngresses:
    """``down`` fails every call. ``worker``: an ingress service runs beside it. ``hold``: what
    ``create`` waits for. ``calls``: what was asked."""

    there: dict[str, LiveIngress] = attrs.field(factory=dict)
    wishes: list[IngressWish] = attrs.field(factory=list)
    calls: list[str] = attrs.field(factory=list)
    down: Unavailable | None = None
    worker: bool = False
    hold: trio.Event | None = None
    whip_url: str = "https://lk.example/w"
    rtmp_url: str = "rtmp://lk.example/x"

    def put(self, *some: LiveIngress) -> None:
        self.there.update({one.id: one for one in some})

    def change(self, livekit_id: str, **more: Any) -> None:
        self.there[livekit_id] = attrs.evolve(self.there[livekit_id], **more)

    async def create(self, wish: IngressWish) -> LiveIngress:
        await self._answer("create")
        if self.hold is not None:
            await self.hold.wait()
        if wish.input_type is InputType.URL and not self.worker:
            raise Unavailable("nobody takes this", code="ingress_no_worker")
        self.wishes.append(wish)
        number, kind = len(self.wishes), wish.input_type
        urls = {InputType.RTMP: self.rtmp_url, InputType.WHIP: self.whip_url, InputType.URL: wish.url or ""}
        one = live(
            f"IN_lk{number}",
            input_type=kind,
            room=wish.room,
            identity=wish.identity,
            url=urls[kind],
            stream_key="" if kind is InputType.URL else f"LiveKitKey{number:02}",
            enabled=wish.enabled,
            reusable=kind is not InputType.URL,
            transcoded=kind is not InputType.WHIP if wish.transcoding is None else wish.transcoding,
        )
        self.put(one)
        return one

    async def list(self) -> list[LiveIngress]:
        await self._answer("list")
        return [*self.there.values()]

    async def get(self, livekit_id: str) -> LiveIngress:
        await self._answer(f"get {livekit_id}")
        return self._of(livekit_id)

    async def update(self, livekit_id: str, *, room: str, enabled: bool) -> LiveIngress:
        await self._answer(f"update {livekit_id}")
        self._of(livekit_id)
        self.change(livekit_id, room=room, enabled=enabled)
        return self.there[livekit_id]

    async def delete(self, livekit_id: str) -> None:
        await self._answer(f"delete {livekit_id}")
        self._of(livekit_id)
        del self.there[livekit_id]

    def _of(self, livekit_id: str) -> LiveIngress:
        if livekit_id not in self.there:
            raise NotFound("LiveKit has no such ingress")
        return self.there[livekit_id]

    async def _answer(self, call: str) -> None:
        self.calls.append(call)
        await trio.lowlevel.checkpoint()
        if self.down is not None:
            raise self.down


@attrs.define
class ListBook:
    """``model.ingress.IngressBook`` over two lists."""

    wanted: list[BookedIngress] = attrs.field(factory=list)
    unwanted: list[str] = attrs.field(factory=list)

    async def booked(self) -> tuple[list[BookedIngress], list[str]]:
        await trio.lowlevel.checkpoint()
        return [*self.wanted], [*self.unwanted]

    async def removed(self, livekit_id: str) -> None:
        await trio.lowlevel.checkpoint()
        self.unwanted.remove(livekit_id)
