"""LiveKit's egresses of ours in a dict, and the playlists that they write."""

from __future__ import annotations

import attrs
import trio

from streamhub.errors import BadRequest, NotFound, StreamHubError
from streamhub.livekit.egresses import EgressState, LiveEgress
from streamhub.model.names import RoomKey

BASE = "https://cdn.example/hls"


@attrs.define
class FakeEgresses:
    """``fails``: what ``start`` raises. ``down``: what every call raises. ``silent``: playlists that no longer move."""

    there: dict[str, LiveEgress] = attrs.field(factory=dict)
    asked: list[tuple[str, str | None]] = attrs.field(factory=list)
    stopped: list[str] = attrs.field(factory=list)
    fails: StreamHubError | None = None
    down: StreamHubError | None = None
    hold: trio.Event | None = None
    silent: set[str] = attrs.field(factory=set)
    hidden: bool = False

    def put(self, egress_id: str, key: RoomKey, path: str) -> None:
        self.there[egress_id] = LiveEgress(egress_id, key.app, key.room, path, EgressState.ACTIVE)

    def change(self, egress_id: str, state: EgressState, error: str = "") -> None:
        self.there[egress_id] = attrs.evolve(self.there[egress_id], state=state, error=error)

    def running(self) -> list[str]:
        return [one.id for one in self.there.values() if one.state is EgressState.ACTIVE]

    async def start(self, key: RoomKey, path: str, identity: str | None) -> LiveEgress:
        await self._answer()
        self.asked.append((key.room, identity))
        egress_id = f"EG_{len(self.asked)}"
        if self.fails is not None:
            raise self.fails
        self.put(egress_id, key, path)
        if self.hold is not None:
            await self.hold.wait()
        return self.there[egress_id]

    async def active(self) -> list[LiveEgress]:
        await self._answer()
        over = (EgressState.ENDED, EgressState.FAILED)
        return [one for one in self.there.values() if one.state not in over]

    async def get(self, egress_id: str) -> LiveEgress:
        await self._answer()
        if egress_id not in self.there:
            raise NotFound("LiveKit has no such egress")
        return self.there[egress_id]

    async def stop(self, egress_id: str) -> None:
        await self._answer()
        self.stopped.append(egress_id)
        if (await self.get(egress_id)).state is not EgressState.ACTIVE:
            raise BadRequest("it cannot be stopped")
        self.change(egress_id, EgressState.ENDED)

    async def read(self, url: str) -> bytes | None:
        """The playlist at ``url``, which grows by a segment each second while its egress runs."""
        await trio.lowlevel.checkpoint()
        for one in self.there.values():
            if not self.hidden and url == f"{BASE}/{one.path}/index.m3u8":
                return b"#EXTM3U" + (b"" if one.id in self.silent else str(int(trio.current_time())).encode())
        return None

    async def _answer(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.down is not None:
            raise self.down
