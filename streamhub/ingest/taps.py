"""Taps: HLS and pictures of what is published in LiveKit itself, made while somebody wants either.

A room whose publishers use WebRTC or WHIP has no relay; a worker joins it then, unseen, and takes what it needs. A
camera or relay of the same room goes before: then there is no tap.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import trio

from streamhub.errors import Unavailable
from streamhub.ingest.on_demand import OnDemand
from streamhub.ingest.relays import Relays
from streamhub.ingest.room_pass import TAP, room_pass
from streamhub.livekit.server import LiveKit
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import WhipGrant
from streamhub.model.names import RoomKey
from streamhub.model.streams import Published, StreamType
from streamhub.rooms.hub import Hub
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import Start

AGAIN_S: Final = 1.0


@attrs.define(eq=False)
class Taps:
    """Owner of the taps. ``run`` is a task its owner must start; ``look`` is told of LiveKit's publishers."""

    hub: Hub
    relays: Relays
    livekit: LiveKit
    clock: WallClock = utc_now
    _rooms: dict[RoomKey, trio.CancelScope] = attrs.field(factory=dict)
    _nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Look after the rooms until cancelled."""
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    def look(self, key: RoomKey, published: Published | None) -> None:
        """These publish now; None: nobody does. Returns at once."""
        native = published is not None and published.native > 0
        if native and key not in self._rooms and self._nursery is not None:
            scope = self._rooms[key] = trio.CancelScope()
            self._nursery.start_soon(self._room, key, scope, name=f"tap {key}")
        elif not native and key in self._rooms:
            self._rooms.pop(key).cancel()

    async def _room(self, key: RoomKey, scope: trio.CancelScope) -> None:
        try:
            with scope:
                while True:  # a room that crashed is opened anew
                    async with self.hub.lease(key, publishing=True) as room:
                        await room.host("tap", partial(self._offer, room))
                    await trio.sleep(AGAIN_S)
        except Unavailable:
            pass  # the server stops
        finally:
            if self._rooms.get(key) is scope:
                del self._rooms[key]

    async def _offer(self, room: Room) -> None:
        """Until cancelled: a tap whenever nobody else serves the room."""
        grant = WhipGrant("", room.key, TAP, type=StreamType.WEBRTC)
        make = partial(self.relays.relay, room, grant, outputs=frozenset({"hls", "pictures"}))
        while True:
            await room.hls.offered_by_others(False)
            async with trio.open_nursery() as nursery:

                async def give_way() -> None:
                    await room.hls.offered_by_others(True)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(give_way)
                with room.waking():
                    await OnDemand(
                        self.relays,
                        room,
                        lambda demand: demand.hls > 0 or demand.wanted,
                        partial(self._start, room.key),
                        make,
                        spare=True,
                    ).run()

    async def _start(self, key: RoomKey) -> Start:
        """What a worker is told. Raises Unavailable."""
        given = room_pass(self.livekit, key, self.clock())
        return Start(kind="room", url=given.url, token=given.token)
