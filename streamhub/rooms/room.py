"""A room: one nursery, the only owner of its live state.

In the nursery run its ingest session, one task per viewer, and the watch that turns time into states: stale after
a silence, the placeholder while there is no picture.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias

import attrs
import trio

from streamhub.errors import StreamHubError, Unavailable
from streamhub.model.clock import WallClock
from streamhub.model.liveness import Liveness
from streamhub.model.names import RoomKey
from streamhub.model.streams import Published, RoomStatus, State, StreamChanged, StreamEvent
from streamhub.observe.log import get_logger
from streamhub.rooms.backoff import run_supervised
from streamhub.rooms.companion import Companion
from streamhub.rooms.demand import Demand
from streamhub.rooms.feed import Feed
from streamhub.rooms.hls import RoomHls
from streamhub.rooms.latest import Latest
from streamhub.rooms.passed_on import PassedOn
from streamhub.rooms.posters import Poster, Posters
from streamhub.rooms.pump import Pump
from streamhub.rooms.session import Session
from streamhub.rooms.viewer import Viewer
from streamhub.wire.multipart import format_part
from streamhub.wire.websocket import format_binary

# ``camera_ws``: as ``ws``, for a page that needs no pictures of what it plays by WebRTC anyway.
Output: TypeAlias = Literal["mjpeg", "ws", "camera_ws"]
Emit: TypeAlias = Callable[[StreamEvent], Awaitable[None]]
# The picture shown while there is no live one: (room, state, since, size of the last picture) -> JPEG.
MakePlaceholder: TypeAlias = Callable[[RoomKey, State, datetime | None, tuple[int, int] | None], Awaitable[bytes]]
# What runs beside a camera of the room, for ever, until cancelled.
Accompany: TypeAlias = Callable[["Room", Session], Awaitable[None]]
PLACEHOLDER_EVERY_S = 5.0
HOST_GRACE_S = 5.0
REPORT_DEADLINE_S = 5.0
PLACEHOLDER_DEADLINE_S = 10.0

log = get_logger("rooms")


@attrs.define(eq=False)
class Room:
    """Live state of one room; opened and closed by the hub, used by the doors through a lease."""

    key: RoomKey
    emit: Emit
    clock: WallClock
    placeholder: MakePlaceholder
    on_error: Callable[[RoomKey, str, Exception], None]
    liveness: Liveness = attrs.field(factory=Liveness)
    published: Published | None = None
    latest: Latest = attrs.field(factory=Latest)
    camera_latest: Latest = attrs.field(factory=Latest)
    demand: Demand = attrs.field(factory=Demand)
    feeds: list[Feed] = attrs.field(factory=list)
    # How many sources sleep, or run, that begin when somebody watches.
    wakers: int = 0
    session: Session | None = None
    users: int = 0
    opened: trio.Event = attrs.field(factory=trio.Event)
    closed: trio.Event = attrs.field(factory=trio.Event)
    state_version: int = 0
    viewers: dict[Viewer | PassedOn, Output] = attrs.field(factory=dict)
    pumps: dict[Output, Pump] = attrs.field(init=False)
    accompany: Accompany | None = attrs.field(kw_only=True, default=None)
    hls: RoomHls = attrs.field(kw_only=True, default=attrs.Factory(lambda self: RoomHls(self.clock), takes_self=True))
    posters: Posters = attrs.field(kw_only=True, factory=Posters)
    _companion: Companion = attrs.field(init=False)
    _nursery: trio.Nursery | None = None
    _closing: bool = False
    _poked: trio.Event = attrs.field(factory=trio.Event)
    _reported: tuple[Session, State] | None = None
    _last_size: tuple[int, int] | None = None

    def __attrs_post_init__(self) -> None:
        self.hls.changed = self._changed
        self.latest.past = self._keep_poster
        self.demand.talkers = self.published.native if self.published is not None else 0
        self._companion = Companion(partial(self.on_error, self.key, "companion"))
        self.pumps = {
            "mjpeg": Pump(self.latest, format_part),
            "ws": Pump(self.latest, format_binary),
            "camera_ws": Pump(self.camera_latest, format_binary),
        }

    @property
    def state(self) -> State:
        """The state of its camera."""
        return self.liveness.state

    @property
    def shown(self) -> tuple[State, datetime | None]:
        """The state everybody is told, and since when: the camera's, else that of LiveKit's publishers."""
        if self.state is State.OFFLINE and self.published is not None:
            return self.published.state, self.published.since
        if self.state is State.OFFLINE and self.feeds:
            return State.LIVE, self.feeds[0].started_at
        return self.state, self.liveness.since

    @contextmanager
    def waking(self) -> Iterator[None]:
        """For the time of the block there is a source that begins when somebody watches."""
        self.wakers += 1
        try:
            yield
        finally:
            self.wakers -= 1

    @property
    def feed(self) -> Feed | None:
        """Where its pictures come from, if not from a camera."""
        return self.feeds[0] if self.feeds and self.session is None else None

    @property
    def pictured_at(self) -> datetime | None:
        """When the picture was taken that it has now; None: it has no live one."""
        source = self.session or self.feed
        if source is None or not self.latest.live or (self.session is not None and self.state is not State.LIVE):
            return None
        return source.last_frame_at

    @property
    def poster(self) -> Poster | None:
        """The newest picture it had, live or not."""
        at = self.pictured_at
        return self.posters.find(self.key) if at is None else Poster(self.latest.jpeg, at)

    def _keep_poster(self, jpeg: bytes) -> None:
        source = self.session or self.feed
        if source is not None and source.last_frame_at is not None:
            self.posters.keep(self.key, Poster(jpeg, source.last_frame_at))

    def publishing(self, published: Published | None) -> None:
        """LiveKit's publishers have changed; None: there is none."""
        if published != self.published:
            self.published = published
            self.demand.talk(published.native if published is not None else 0)
            self._changed()

    def status(self) -> RoomStatus:
        """A snapshot of its camera and viewers for API and metrics."""
        mjpeg = sum(output == "mjpeg" for output in self.viewers.values())
        return RoomStatus(
            key=self.key,
            state=self.liveness.state,
            since=self.liveness.since,
            source=self.session.status(trio.current_time()) if self.session else None,
            viewers={"mjpeg": mjpeg, "ws": len(self.viewers) - mjpeg, "hls": self.hls.readers.count()},
        )

    # --- the source and the viewers --------------------------------------------------------------------------

    def attach(self, session: Session) -> None:
        """Make ``session`` the room's source; an older one must have been told to end before."""
        replaced, self.session = self.session, session
        if replaced is not None and replaced.stream_id == session.stream_id:
            # The counters of the publication go on where the replaced connection left off.
            session.started_at = replaced.started_at
            self._poked.set()
            return
        if replaced is None:
            self.liveness.connected(self.clock())
        self._changed()  # viewers are told who it is
        if self.accompany is not None:
            with suppress(Unavailable):  # the room is closing
                self.adopt("companion", self._companion.begin(partial(self.accompany, self, session)))

    def detach(self, session: Session) -> bool:
        """The source has left; False if another had taken over."""
        if self.session is not session:
            return False
        if self.latest.live:
            self.latest.retire()  # while it is known when that picture was taken
        self.session = None
        self._companion.end()
        self._last_size = session.size or self._last_size
        self.liveness.disconnected(self.clock())
        self._changed()
        return True

    async def publish(self, session: Session, jpeg: bytes) -> None:
        """Make ``jpeg`` the room's picture and send it to every ready viewer. Ignored from a replaced session."""
        if self.put(session, jpeg, trio.current_time(), self.clock()):
            await self.spread()

    def put(self, session: Session, jpeg: bytes, now: float, wall: datetime) -> bool:
        """Make ``jpeg`` the room's picture; False if it is ignored. The ready viewers get it by ``offer``."""
        if self.session is not session:
            return False
        session.accepted(jpeg, now, wall)
        if self.liveness.frame(now, wall):
            self._changed()
        self.camera_latest.publish(jpeg, live=True)
        self.latest.publish(jpeg, live=True)
        return True

    def offer(self) -> bool:
        """As ``spread``, at once; False if the ready viewers are too many for that: await ``spread`` then."""
        offered = True
        for pump in self.pumps.values():
            if pump.ready.count and not pump.offer():
                offered = False
        return offered

    async def spread(self) -> None:
        """Send what there is to every ready viewer that does not have it yet."""
        for pump in self.pumps.values():
            await pump.push()

    def attach_feed(self, feed: Feed) -> None:
        """Pictures can be had by ``feed`` from now on, until ``detach_feed``; of several the first is taken."""
        self.feeds.append(feed)
        self._changed()

    def detach_feed(self, feed: Feed) -> None:
        """That one gives none any more."""
        if self.feed is feed and self.latest.live:
            self.latest.retire()
        self.feeds.remove(feed)
        self._changed()

    def rest_feed(self, feed: Feed) -> None:
        """Nobody wants its pictures any more: the last one must not be shown to the next who comes."""
        if self.feed is feed:
            self.latest.retire()

    def poll(self) -> None:
        """Somebody asks for one picture."""
        self._expect()
        self.demand.poll()

    def _expect(self) -> None:
        if self.feed is not None and not self.demand.wanted:
            self.feed.await_first(trio.current_time())

    async def publish_feed(self, feed: Feed, jpeg: bytes) -> None:
        """As ``publish``, from a feed; ignored unless it is the one to be shown."""
        if self.feed is not feed:
            return
        feed.accepted(trio.current_time(), self.clock())
        self.latest.publish(jpeg, live=True)
        await self.spread()

    def add_viewer(self, viewer: Viewer | PassedOn, output: Output) -> None:
        """Count ``viewer`` among the room's, from now on until ``remove_viewer``."""
        self.viewers[viewer] = output
        if output != "camera_ws":
            self._expect()
        self.demand.come("page" if output == "camera_ws" else "pictures")
        self._poked.set()

    def remove_viewer(self, viewer: Viewer | PassedOn) -> None:
        """The viewer has left."""
        if (output := self.viewers.pop(viewer, None)) is not None:
            self.demand.go("page" if output == "camera_ws" else "pictures")

    async def host(self, name: str, child: Callable[[], Awaitable[None]]) -> None:
        """Run ``child`` in the room's nursery and wait for its end; cancelling the caller cancels it.

        It ends early, without an error here, when the room is closed or an error in it was reported.
        """
        scope, done = trio.CancelScope(), trio.Event()

        async def body() -> None:
            try:
                with scope:
                    await child()
            finally:
                done.set()

        self.adopt(name, body)
        try:
            await done.wait()
        except trio.Cancelled:
            scope.cancel()
            with trio.move_on_after(HOST_GRACE_S, shield=True):
                await done.wait()
            raise

    def adopt(self, name: str, child: Callable[[], Awaitable[None]]) -> None:
        """Run ``child`` in the room's nursery; an error in it is reported and ends only it. Raises Unavailable."""
        closing = Unavailable("the room is closing", code="room_closing", retry_after_s=1)
        if self._nursery is None:
            raise closing
        try:
            self._nursery.start_soon(self._guard, name, child, name=f"{self.key}/{name}")
        except RuntimeError:  # its last task has ended; ours will see that in a moment
            raise closing from None

    async def _guard(self, name: str, child: Callable[[], Awaitable[None]]) -> None:
        try:
            await child()
        except Exception as exc:  # the room boundary: one viewer's error is not the others'
            self.on_error(self.key, name, exc)

    # --- the room's own life --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled or ``close`` is called; whatever runs in the nursery ends with it."""
        try:
            async with trio.open_nursery() as self._nursery:
                if self._closing:  # the one who opened it was cancelled before this task ran
                    return
                self._nursery.start_soon(
                    run_supervised, self._watch, partial(self.on_error, self.key, "watch"), name=f"{self.key}/watch"
                )
                self.opened.set()
        finally:
            self._nursery = None
            self.opened.set()  # whoever waits finds the room closed
            self.closed.set()

    def close(self) -> None:
        """Cancel everything in the room. Returns at once: await ``closed``."""
        self._closing = True
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def _changed(self) -> None:
        self.state_version += 1
        if self.state is not State.LIVE and self.camera_latest.live:
            # A viewer that comes before the placeholder is drawn must not see it as live.
            self.latest.retire()
            self.camera_latest.retire()
        self._poked.set()
        for viewer, output in list(self.viewers.items()):
            if output != "mjpeg":
                viewer.poke()

    async def _watch(self) -> None:
        placeholder, version, shown_at = b"", -1, -math.inf  # the last one, of which state, when
        while True:
            self._poked = trio.Event()
            now = trio.current_time()
            if self.liveness.tick(now, self.clock()):
                self._changed()
            wake_at = self.liveness.stale_at() if self.state is State.LIVE else math.inf
            if self.state is not State.LIVE and self.viewers:
                if version != self.state_version:
                    drawn_for, placeholder = self.state_version, await self._draw_placeholder()
                    version, shown_at = drawn_for if placeholder else -1, -math.inf
                fed_until = self._fed_until()
                if version == self.state_version and now >= shown_at + PLACEHOLDER_EVERY_S:
                    shown_at = now
                    await self._show(placeholder, live=False, fed=fed_until > now)
                wake_at = min(shown_at + PLACEHOLDER_EVERY_S, fed_until if fed_until > now else math.inf)
            await self._report()
            with trio.move_on_at(wake_at):
                await self._poked.wait()

    async def _report(self) -> None:
        """Tell the ledger about live and stale; the door tells about start and end.

        Not before the source's own first frame: one that took over a live room may not have been told of yet.
        """
        session, state = self.session, self.state
        if session is None or session.last_frame_at is None or state not in (State.LIVE, State.STALE):
            return
        if self._reported == (session, state):
            return
        self._reported = (session, state)
        try:
            with trio.fail_after(REPORT_DEADLINE_S):
                await self.emit(StreamChanged(self.key, session.stream_id, state, self.liveness.since or self.clock()))
        except (StreamHubError, trio.TooSlowError) as exc:  # a database in trouble does not stop the picture
            self.on_error(self.key, "report", exc)

    async def _draw_placeholder(self) -> bytes:
        """The placeholder; b"" if there was no time for it: a thousand rooms that lose their cameras wait in turn."""
        size = (self.session.size if self.session else None) or self._last_size
        with trio.move_on_after(PLACEHOLDER_DEADLINE_S):
            return await self.placeholder(self.key, *self.shown, size)
        log.warning("no time to draw a placeholder; it is tried again", app=self.key.app, room=self.key.room)
        return b""

    def _fed_until(self) -> float:
        """Until when a feed's pictures are shown, or awaited, where they are wanted."""
        return self.feed.fresh_until() if self.feed is not None and self.demand.wanted else -math.inf

    async def _show(self, jpeg: bytes, *, live: bool, fed: bool = False) -> None:
        """``fed``: those who want any pictures have some."""
        self.camera_latest.publish(jpeg, live=live)
        if not fed:
            self.latest.publish(jpeg, live=live)
        await self.spread()
