"""HLS of all rooms, for those who serve it and those who order it: a lease keeps the room open as long as it lasts."""

from __future__ import annotations

import attrs

from streamhub.errors import NotFound, StreamHubError, Unavailable
from streamhub.model.names import RoomKey
from streamhub.model.streams import State
from streamhub.rooms.hls import HlsStream
from streamhub.rooms.hub import Hub
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import Container

RETRY_AFTER_S = 5


@attrs.frozen
class HlsLeases:
    """Finds a room's HLS and wants it."""

    hub: Hub

    async def want(self, key: RoomKey, container: Container) -> HlsStream:
        """The room's HLS, wanted for ``LEASE_S`` from now. Raises NotFound or Unavailable if nobody can give it."""
        stream = self._find(key, container)
        await self.extend(key, stream)
        return stream

    def count(self, key: RoomKey, address: str, program: str, token: str | None) -> None:
        """Count who has asked for the list of ``want`` among the room's viewers, for ``LEASE_S``."""
        if (room := self.hub.get(key)) is not None:
            room.hls.readers.saw(address, program, token)

    async def extend(self, key: RoomKey, stream: HlsStream) -> None:
        """Want the stream for ``LEASE_S`` from now; somebody is reading it. Raises Unavailable."""
        stream.touch()
        await self._look_after(key, stream)

    def extend_at_once(self, stream: HlsStream) -> bool:
        """As ``extend`` where somebody looks after the stream's end already; else False, with nothing done."""
        if stream.leased:
            stream.touch()
        return stream.leased

    async def hold(self, key: RoomKey) -> tuple[str, bool]:
        """Want fMP4 until ``drop``: the order's name, and whether there is a playlist already. Raises as ``want``."""
        stream = self._find(key, "fmp4")
        name = stream.hold()
        await self._look_after(key, stream)
        return name, stream.playable

    async def drop(self, key: RoomKey) -> str | None:
        """End the order of ``hold`` and return its name; None: there was none."""
        room = self.hub.get(key)
        return None if room is None else room.hls.streams["fmp4"].let_go()

    def active(self, key: RoomKey) -> bool:
        """Whether the room has a playlist to show."""
        room = self.hub.get(key)
        return room is not None and any(stream.playable for stream in room.hls.streams.values())

    def _find(self, key: RoomKey, container: Container) -> HlsStream:
        room = self.hub.get(key)
        if room is not None:
            stream = room.hls.streams[container]
            if room.hls.is_offered or stream.playable:
                return stream
        raise refusal(self.hub, key)

    async def _look_after(self, key: RoomKey, stream: HlsStream) -> None:
        """See to it that the room stays open while the stream is wanted, and that its files go afterwards."""
        if stream.leased:
            return
        stream.leased = True
        room: Room | None = None
        try:
            room = await self.hub.acquire(key, publishing=True)
            found = room

            async def keep() -> None:
                try:
                    await stream.unwanted()
                finally:
                    stream.leased = False
                    stream.let_go(at_once=True)
                    found.demand.go("hls")
                    self.hub.release(found)
                    await stream.clear()

            if room.hls.streams[stream.container] is not stream:
                raise Unavailable("the room is closing", code="room_closing", retry_after_s=1)
            room.adopt(f"hls {stream.container}", keep)
            room.demand.come("hls")  # a source on demand has to run
        except BaseException:
            stream.leased = False
            stream.let_go(at_once=True)  # nobody would see to its end
            if room is not None:
                self.hub.release(room)
            raise


def refusal(hub: Hub, key: RoomKey) -> StreamHubError:
    """Why there is no HLS of a room for which nobody can make any."""
    if hub.shown(key)[0] is State.OFFLINE:
        return Unavailable(
            f"nobody publishes to room '{key.room}'",
            code="room_offline",
            hint="Try again when its source is live.",
            retry_after_s=RETRY_AFTER_S,
        )
    return NotFound(
        f"what is live in room '{key.room}' is not to be had by HLS",
        code="hls_not_available",
        hint="Watch it on /play/<app>/<room>, or try again in a moment.",
    )
