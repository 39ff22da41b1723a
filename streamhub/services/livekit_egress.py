"""HLS by LiveKit's egress service: one egress for each room that is wanted, begun, followed, and stopped afterwards.

What it makes lies where the operator said, and ``base_url`` leads there. LiveKit's list says what runs; it is looked at
every five seconds and after every webhook about an egress. One of ours that nobody here knows of is taken over when we
have just started, and stopped otherwise. Whether it really delivers only its playlist tells: that is read too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from urllib.parse import quote

import attrs
import trio

from streamhub.errors import BadRequest, NotFound, StreamHubError, Unavailable
from streamhub.livekit.egresses import PLAYLIST, START_S, EgressState, LiveEgress, new_path
from streamhub.livekit.following import Following
from streamhub.livekit.session import Session
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.observe.log import get_logger
from streamhub.rooms.backoff import delays
from streamhub.rooms.hls_leases import refusal
from streamhub.rooms.hub import Hub
from streamhub.rooms.lease import Lease
from streamhub.rooms.room import Room
from streamhub.services.live import NoHls, OrdersHls

# Players may stay where they were sent and ask us no more, and an egress takes ten seconds to begin.
EGRESS_LEASE_S = 300.0
AGAIN_CAP_S = 10.0
POLL_S = 0.5
# How often the playlist of a running one is read, and how long it may say the same.
READ_S = 10.0
FETCH_S = 5.0
STALE_S = 60.0
# Players are sent to a playlist that is not to be had from here when its egress has run so long.
UNSEEN_S = 20.0
STOP_S = 1.5
_HINT = "Look into the egress service's log: storage, rights and cpu_cost are the usual reasons."

log = get_logger("egress")


class EgressesApi(Protocol):
    """What is asked of LiveKit; ``livekit.egresses.EgressApi`` in the server. All raise Unavailable."""

    async def start(self, key: RoomKey, path: str, identity: str | None) -> LiveEgress:
        """Begin one. Raises NotFound."""
        ...

    async def active(self) -> list[LiveEgress]:
        """Those of ours that have not ended."""
        ...

    async def get(self, egress_id: str) -> LiveEgress:
        """One of ours. Raises NotFound."""
        ...

    async def stop(self, egress_id: str) -> None:
        """End one. Raises NotFound, BadRequest."""
        ...


async def read_playlist(url: str) -> bytes | None:
    """What is there now; None: nothing that can be read."""
    try:
        reply = await Session().request("GET", url, {"Cache-Control": "no-cache"}, within_s=FETCH_S)
    except Unavailable:
        return None
    return reply.body if reply.status == 200 else None


def nobody(_key: RoomKey) -> Sequence[str]:
    """Nobody publishes anywhere."""
    return ()


@attrs.define(eq=False)
class RoomEgress(Lease):
    """One room's: who wants it, what runs, and what went wrong. ``path`` is set before it is asked for."""

    key: RoomKey
    live: LiveEgress | None = None
    path: str | None = None
    playable: bool = False
    failure: StreamHubError | None = None

    def begin(self, live: LiveEgress) -> None:
        """It runs."""
        self.live, self.path, self.failure = live, live.path, None
        self._move()

    def play(self) -> None:
        """It has something to show."""
        self.playable = True
        self._move()

    def end(self, failure: StreamHubError | None = None) -> None:
        """It does not run, and why."""
        self.live, self.path, self.playable, self.failure = None, None, False, failure
        self._move()

    async def until(self, holds: Callable[[RoomEgress], bool]) -> None:
        """Return once ``holds`` says yes. Raises what the last one failed with."""
        while not holds(self):
            if self.failure is not None:
                raise self.failure
            await self._moved.wait()

    async def over(self) -> None:
        """Return when it does not run."""
        while self.live is not None:
            await self._moved.wait()


@attrs.define(eq=False)
class EgressHls(Following):
    """Implements ``services.live.OrdersHls``.

    ``publishers`` are the identities in LiveKit's room that publish, the oldest first.
    """

    what = "egresses"
    log = log
    hub: Hub
    api: EgressesApi
    base_url: str
    publishers: Callable[[RoomKey], Sequence[str]] = nobody
    read: Callable[[str], Awaitable[bytes | None]] = read_playlist
    # Cameras that send JPEGs are encoded here whatever is made of it: their HLS needs no egress.
    cameras: OrdersHls = attrs.field(factory=NoHls)
    _rooms: dict[RoomKey, RoomEgress] = attrs.field(factory=dict)
    _started: bool = False
    _refusing: set[str] = attrs.field(factory=set)
    _published: trio.Event = attrs.field(factory=trio.Event)

    @property
    def origin(self) -> str:
        """Scheme, host and port of ``base_url``."""
        return "/".join(self.base_url.split("/")[:3])

    # --- for those who want it ------------------------------------------------------------------------------

    async def locate(self, key: RoomKey) -> str | None:
        """The playlist's place, once there is one; None: it is ours. No deadline. Raises NotFound, Unavailable."""
        if self._is_camera(key):
            return None
        one = await self._want(key)
        one.touch()
        await one.until(lambda o: o.playable)
        return self._url(one)

    async def hold(self, key: RoomKey) -> tuple[str, bool]:
        """See ``OrdersHls``; the name is that of LiveKit's egress, unless that has not begun in time."""
        if self._is_camera(key):
            return await self.cameras.hold(key)
        one = await self._want(key)
        name = one.hold()
        try:
            with trio.move_on_after(START_S + 1):
                await one.until(lambda o: o.live is not None)
        except StreamHubError:
            one.let_go()
            raise
        return (name if one.live is None else one.live.id), one.playable

    async def drop(self, key: RoomKey) -> str | None:
        """See ``OrdersHls``."""
        camera = await self.cameras.drop(key)  # held while there was one
        one = self._rooms.get(key)
        if one is None:
            return camera
        name = one.let_go()
        return one.live.id if name is not None and one.live is not None else name or camera

    def active(self, key: RoomKey) -> bool:
        """See ``OrdersHls``."""
        one = self._rooms.get(key)
        return (one is not None and one.playable) or self.cameras.active(key)

    def counts(self) -> tuple[int, int]:
        """How many deliver, and how many there are."""
        return sum(one.playable for one in self._rooms.values()), len(self._rooms)

    def _is_camera(self, key: RoomKey) -> bool:
        room = self.hub.get(key)
        return room is not None and room.session is not None

    async def _want(self, key: RoomKey) -> RoomEgress:
        if not self._started:
            await self.look()  # one of before may run
        if (one := self._rooms.get(key)) is None:
            room = self.hub.get(key)
            if not self.publishers(key) and (room is None or not room.hls.is_offered):
                raise refusal(self.hub, key)
            one = await self._open(key)
        return one

    async def _open(self, key: RoomKey, live: LiveEgress | None = None) -> RoomEgress:
        one = self._rooms[key] = RoomEgress(key)
        one.lease_s = EGRESS_LEASE_S
        one.touch()
        if live is not None:
            one.begin(live)
        room: Room | None = None
        try:
            room = await self.hub.acquire(key, publishing=True)
            found = room
            room.adopt("egress", lambda: self._serve(one, found))
        except BaseException:
            del self._rooms[key]
            if room is not None:
                self.hub.release(room)
            raise
        return one

    # --- one room -------------------------------------------------------------------------------------------

    async def _serve(self, one: RoomEgress, room: Room) -> None:
        """Egress after egress while the room's HLS is wanted."""
        room.demand.come("page")  # a source on demand has to run
        room.hls.elsewhere.append(one)
        try:
            async with trio.open_nursery() as nursery:

                async def work() -> None:
                    waits = delays(1.0, AGAIN_CAP_S)
                    while True:
                        await self._life(one)
                        await trio.sleep(next(waits))
                        if one.failure is None:
                            waits = delays(1.0, AGAIN_CAP_S)

                nursery.start_soon(work)
                await one.unwanted()
                nursery.cancel_scope.cancel()
        finally:
            del self._rooms[one.key]  # who comes from now on begins anew
            room.hls.elsewhere.remove(one)
            if (live := one.live) is not None:
                one.end()
                with trio.move_on_after(STOP_S, shield=True):
                    await self._stop(live)
            room.demand.go("page")
            self.hub.release(room)

    async def _life(self, one: RoomEgress) -> None:
        """One egress to its end: of who is alone in the room, or of all (the speaker is shown, everybody heard)."""
        if one.live is None:
            while not (people := self.publishers(one.key)):
                await self._published.wait()
            one.path = path = new_path(one.key)
            try:
                live = await self.api.start(one.key, path, people[0] if len(people) == 1 else None)
            except StreamHubError as exc:
                log.warning("no egress for a room's HLS", error=exc.message, hint=exc.hint, **_where(one.key))
                one.end(exc)
                return
            one.begin(live)
            log.info("an egress makes a room's HLS", egress=live.id, **_where(one.key))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow, one)
            await one.over()
            nursery.cancel_scope.cancel()

    async def _follow(self, one: RoomEgress) -> None:
        """Read its playlist as players do: is it there, does it go on?"""
        began = moved = trio.current_time()
        seen: bytes | None = None
        url = self._url(one)
        while True:
            text, now = await self.read(url), trio.current_time()
            if text is not None and text != seen:
                seen, moved = text, now
                one.play()
            elif seen is None and not one.playable and now - began > UNSEEN_S:
                hint = "Is STREAMHUB_EGRESS_BASE_URL the address of what egress writes? Players are sent there now."
                log.warning("an egress runs, and its playlist is not to be had", url=url, hint=hint, **_where(one.key))
                one.play()
            elif seen is not None and now - moved > STALE_S and (live := one.live) is not None:
                await self._stop(live)
                one.end(_failed("its playlist does not go on"))
            await trio.sleep(READ_S if one.playable else POLL_S)

    async def _stop(self, live: LiveEgress) -> None:
        try:
            await self.api.stop(live.id)
        except (NotFound, BadRequest):
            pass  # it has ended
        except StreamHubError as exc:
            self._refusing.add(live.id)
            log.warning("an egress cannot be stopped", egress=live.id, room=live.room, error=exc.message)

    def _url(self, one: RoomEgress) -> str:
        return f"{self.base_url}/{quote(one.path or '')}/{PLAYLIST}"

    # --- all of them ----------------------------------------------------------------------------------------

    def publishing(self) -> None:
        """Somebody began or ended publishing. Returns at once."""
        self._published.set()
        self._published = trio.Event()

    async def _compare(self) -> None:
        # Noted before LiveKit is asked: one that begins meanwhile may be missing in its answer.
        known = {one.live.id: one for one in self._rooms.values() if one.live is not None}
        listed = {live.id: live for live in await self.api.active()}
        for egress_id, one in known.items():
            if one.live is None or one.live.id != egress_id:
                continue
            if (found := listed.get(egress_id)) is not None:
                one.live = found
            else:
                failure = await self._why(egress_id)
                log.info("an egress has ended", egress=egress_id, error=failure and failure.message, **_where(one.key))
                one.end(failure)
        for stray in listed.values():
            if stray.id not in known and stray.state is not EgressState.ENDING and stray.id not in self._refusing:
                await self._stray(stray)
        self._refusing &= set(listed)
        self._started = True

    async def _why(self, egress_id: str) -> StreamHubError | None:
        """What an egress failed with that is listed no more."""
        try:
            last = await self.api.get(egress_id)
        except (NotFound, Unavailable):
            return None
        return _failed(last.error) if last.state is EgressState.FAILED else None

    async def _stray(self, stray: LiveEgress) -> None:
        """One of ours that no room here has: of the server before us, or begun after we had given it up."""
        key = RoomKey(AppName(stray.app), RoomName(stray.room))
        one = self._rooms.get(key)
        if one is not None and one.path == stray.path:
            return  # LiveKit knows it sooner than we are told
        if one is None and not self._started:
            log.info("an egress of before goes on", egress=stray.id, **_where(key))
            await self._open(key, stray)
            return
        log.info("an egress that nobody wants is stopped", egress=stray.id, **_where(key))
        await self._stop(stray)


def report_egress(exc: Exception) -> None:
    """Log why following ended; it is run again."""
    log.error("following LiveKit's egresses failed; it starts again", exc_info=exc)


def _failed(reason: str) -> Unavailable:
    return Unavailable(
        f"LiveKit's egress of this room failed: {reason}", code="egress_failed", hint=_HINT, retry_after_s=10
    )


def _where(key: RoomKey) -> dict[str, str]:
    return {"app": key.app, "room": key.room}
