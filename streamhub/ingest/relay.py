"""One relay at work: a worker that takes a source in, and the sinks that are wanted of it just now.

WebRTC as long as the source runs, or while somebody watches; pictures and HLS while somebody does. A sink that fails is
tried again by itself; the source goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import attrs
import trio

from streamhub.errors import Unavailable
from streamhub.ingest.relay_whip import Pass, RelayWhip
from streamhub.ingest.relay_worker import OpenWorker, WorkerLike, open_worker
from streamhub.ingest.room_pass import room_pass
from streamhub.model.ingress import WhipGrant
from streamhub.observe.log import get_logger
from streamhub.rooms.backoff import Lives
from streamhub.rooms.demand import Demand
from streamhub.rooms.feed import Feed
from streamhub.rooms.hls import HlsStream
from streamhub.rooms.posters import Poster
from streamhub.rooms.room import Room
from streamhub.wire.relay_control import (
    AttachHls,
    AttachJpeg,
    AttachRoomAudio,
    AttachWhip,
    Detach,
    Ended,
    Event,
    Opened,
    Order,
    Picture,
    Segment,
    SinkEnded,
    SinkRunning,
    Start,
    Stats,
)

LIVEKIT_POLL_S = 1.0
# A LiveKit that was restarted knows nothing of our publication, and libav's muxer does not notice.
LOOK_S = 5.0
SINK_CAP_S = 10.0
# So often one key frame of a source whose pictures nobody watches is decoded, for the room's poster: soon after the
# source has opened, when there is less to do, and then again, so that the last picture before an outage is not much
# older than this. A decoder that stays, to see each key frame, would cost for ever; this one runs for milliseconds.
POSTER_FIRST_S = 2.0
POSTER_EVERY_S = 60.0
POSTER_FAILED_S = 600.0
POSTER_WITHIN_S = 20.0
# Who falls silent may speak again: HLS has a discontinuity whenever this begins or ends.
TALK_LINGER_S = 60.0
# Sound or pictures have come or gone: HLS is begun anew at once.
TRACKS_CHANGED = "tracks_changed"
MOST_WAITING = 256
MOST_RSS = 600 * 1024 * 1024

FeedSegment: TypeAlias = Callable[[Segment], Awaitable[None]]
Output: TypeAlias = Literal["webrtc", "hls", "pictures"]
ALL_OUTPUTS: frozenset[Output] = frozenset({"webrtc", "hls", "pictures"})

log = get_logger("relay")


def _talked(demand: Demand) -> bool:
    return demand.talkers > 0 and demand.hls > 0


@attrs.define
class Known:
    """What is known of a source while it runs; its tracks and figures are the worker's."""

    opened: Opened | None = None
    stats: Stats | None = None
    problems: dict[str, SinkEnded] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Relay:
    """One life of a worker. ``run`` returns how it ended."""

    grant: WhipGrant
    room: Room
    whip: RelayWhip
    known: Known = attrs.field(factory=Known)
    open_worker: OpenWorker = open_worker
    # What the room does not have already: a camera gives its own pictures, a room of LiveKit's is in LiveKit.
    outputs: frozenset[Output] = ALL_OUTPUTS
    # In LiveKit only while somebody there may watch, instead of as long as the source runs.
    livekit_on_demand: bool = False
    worker: WorkerLike | None = None
    _feed: Feed | None = None
    _waiting: dict[str, trio.MemorySendChannel[SinkRunning | SinkEnded | Segment]] = attrs.field(factory=dict)
    # Which sink the pictures are of that come now.
    _jpeg: Literal["feed", "poster"] | None = None
    _posted: trio.Event = attrs.field(factory=trio.Event)
    _opened: trio.Event = attrs.field(factory=trio.Event)
    _pictured: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, start: Start, *, ready: Callable[[WorkerLike], Awaitable[None]] | None = None) -> Ended:
        """Take the source in until it ends. ``ready`` is told the worker once its order is given."""
        last = Ended(error="the relay worker ended without a word", code="worker_died", hint="It is started again.")
        media = start.kind in ("flv", "jpeg")
        async with self.open_worker(media=media) as worker:
            await worker.order(attrs.evolve(start, media_fd=worker.media_fd))
            self.worker = worker
            if ready is not None:
                await ready(worker)
            try:
                async with trio.open_nursery() as nursery:
                    if "webrtc" in self.outputs:
                        nursery.start_soon(self._publish_by_whip)
                        nursery.start_soon(self._hear_others)
                    if "pictures" in self.outputs:
                        nursery.start_soon(self._show_pictures)
                    if "hls" in self.outputs:
                        for stream in self.room.hls.streams.values():
                            nursery.start_soon(self._make_hls, stream)
                    async with aclosing(worker.events()) as events:
                        async for event in events:
                            if isinstance(event, Ended):
                                last = event
                                break
                            if isinstance(event, Stats) and event.rss > MOST_RSS:
                                last = Ended(error="the relay worker needs too much memory", code="worker_too_big")
                                break
                            await self._take(event)
                    nursery.cancel_scope.cancel()
            finally:
                self.worker = None
                if self._feed is not None:
                    self.room.detach_feed(self._feed)
                    self._feed = None
        return last

    async def _take(self, event: Event) -> None:
        match event:
            case Picture():
                if self._jpeg == "poster":
                    taken_at = datetime.fromtimestamp(event.at_ms / 1000, UTC)
                    self.room.posters.keep(self.room.key, Poster(event.jpeg, taken_at))
                    self._posted.set()
                elif self._feed is not None and self._jpeg == "feed":
                    await self.room.publish_feed(self._feed, event.jpeg)
            case Segment() | SinkRunning() | SinkEnded():
                if isinstance(event, SinkEnded) and event.error is not None:
                    log.info("a relay's sink failed", error=event.error, code=event.code, **self._where)
                if (channel := self._waiting.get(event.id)) is not None:
                    with suppress(trio.WouldBlock, trio.BrokenResourceError):
                        channel.send_nowait(event)
            case Opened():
                self.known.opened = event
                if "pictures" in self.outputs and self._feed is None and any(t.kind == "video" for t in event.tracks):
                    self._feed = Feed(self.grant.identity, self.room.clock())
                    self.room.attach_feed(self._feed)
                    self._pictured.set()
                self._opened.set()
            case Stats():
                self.known.stats = event
            case Ended():
                pass

    # --- sinks ----------------------------------------------------------------------------------------------

    async def _publish_by_whip(self) -> None:
        """In LiveKit as long as the source runs, or is wanted there; whatever goes wrong there is tried again."""
        await self._opened.wait()
        lives = Lives(0.3, SINK_CAP_S, SINK_CAP_S)
        while True:
            if self.livekit_on_demand:
                await self.room.demand.wait(lambda d: d.livekit_wanted)
            await self._livekit_ready()
            lives.begin()
            if self.livekit_on_demand:
                await self.room.demand.during(lambda d: d.livekit_wanted, self._publish)
            else:
                await self._publish()
            await trio.sleep(lives.end())

    async def _publish(self) -> None:
        """Once, until it ends."""
        with self.whip.admit(self.grant) as given:
            try:
                order = AttachWhip(id=f"whip-{secrets.token_hex(4)}", url=self.whip.url, bearer=given.bearer)
                await self._sink(order, given)
            finally:
                await self.whip.leave(given)

    async def _sink(self, order: AttachWhip, given: Pass) -> None:
        """Until the sink has ended, or LiveKit does not have it any more."""
        async with trio.open_nursery() as nursery:

            async def look() -> None:
                while True:
                    await trio.sleep(LOOK_S)
                    try:
                        if given.session is not None and not await self.whip.present(given):
                            log.info("livekit has lost a relay; it publishes anew", **self._where)
                            nursery.cancel_scope.cancel()
                    except Unavailable:
                        nursery.cancel_scope.cancel()

            nursery.start_soon(look)
            await self._attached(order)
            nursery.cancel_scope.cancel()

    async def _attached(self, order: Order, feed: FeedSegment | None = None) -> SinkEnded:
        """Attach a sink and return how it ended. If cancelled, it is detached. Its segments are given to ``feed``."""
        assert self.worker is not None
        assert not isinstance(order, Start | Detach)
        send, receive = trio.open_memory_channel[SinkRunning | SinkEnded | Segment](MOST_WAITING)
        self._waiting[order.id] = send
        # Whether a poster can be had is no news of the source.
        kind = None if isinstance(order, AttachJpeg) and order.key_only else type(order).__name__
        try:
            await self.worker.order(order)
            async for event in receive:
                if isinstance(event, SinkEnded):
                    if event.error is not None and kind is not None:
                        self.known.problems[kind] = event
                    return event
                if isinstance(event, Segment):
                    if feed is not None:
                        await feed(event)
                elif kind is not None:
                    self.known.problems.pop(kind, None)
            raise AssertionError("unreachable: the channel is ours")
        finally:
            del self._waiting[order.id]
            if self.worker is not None:
                with trio.move_on_after(1.0, shield=True):
                    await self.worker.order(Detach(id=order.id))

    async def _make_hls(self, stream: HlsStream) -> None:
        """Segments while somebody wants them."""
        await self._opened.wait()
        while True:
            await stream.wanted()
            ended: SinkEnded | None = None
            async with stream.serving() as start, trio.open_nursery() as nursery:

                async def enough() -> None:
                    await stream.unwanted()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(enough)
                order = AttachHls(
                    id=f"hls-{secrets.token_hex(4)}",
                    folder=str(start.folder),
                    prefix=start.prefix,
                    container=start.container,
                    segment_s=start.segment_s,
                )
                ended = await self._attached(order, stream.feed)
                nursery.cancel_scope.cancel()
            if ended is not None:
                if ended.code == TRACKS_CHANGED:
                    continue
                stream.fail(
                    Unavailable(
                        f"no HLS of this source: {ended.error or 'it ended'}",
                        code=ended.code or "hls_failed",
                        hint=ended.hint or "It is tried again by itself.",
                        retry_after_s=10,
                    )
                )
                await trio.sleep(SINK_CAP_S)

    async def _livekit_ready(self) -> None:
        while True:
            try:
                self.whip.client.livekit.require_whip()
            except Unavailable:
                await trio.sleep(LIVEKIT_POLL_S)
            else:
                return

    async def _show_pictures(self) -> None:
        """Pictures into the room while they are wanted and no camera gives any; else a poster now and then."""
        await self._pictured.wait()
        assert self._feed is not None
        feed, demand = self._feed, self.room.demand
        poster_at = trio.current_time() + POSTER_FIRST_S
        while True:
            with trio.move_on_at(poster_at):
                await demand.wait(lambda d: d.wanted)
            pause = POSTER_EVERY_S
            if demand.wanted:
                self._jpeg = "feed"
                await demand.during(lambda d: d.wanted, self._feed_pictures)
                self.room.rest_feed(feed)
            else:
                self._jpeg = "poster"
                if await demand.during(lambda d: not d.wanted, self._take_poster) is False:
                    pause = POSTER_FAILED_S
            self._jpeg = None
            poster_at = trio.current_time() + pause

    async def _feed_pictures(self) -> None:
        await self._attached(AttachJpeg(id=f"jpeg-{secrets.token_hex(4)}"))
        await trio.sleep(SINK_CAP_S)  # it failed

    async def _take_poster(self) -> bool:
        """One picture, of a key frame; False: the worker cannot give any."""
        self._posted = trio.Event()
        failed = False
        async with trio.open_nursery() as nursery:

            async def posted() -> None:
                with trio.move_on_after(POSTER_WITHIN_S):
                    await self._posted.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(posted)
            ended = await self._attached(AttachJpeg(id=f"poster-{secrets.token_hex(4)}", fps=0.1, key_only=True))
            failed = ended.error is not None
            nursery.cancel_scope.cancel()
        return not failed

    async def _hear_others(self) -> None:
        """What others say in LiveKit's room is in this source's HLS too, while there is somebody and HLS is wanted."""
        await self._opened.wait()
        while True:
            await self.room.demand.wait(_talked)
            await self.room.demand.during(_talked, self._listen, TALK_LINGER_S)

    async def _listen(self) -> None:
        try:
            given = room_pass(self.whip.client.livekit, self.room.key, self.room.clock())
        except Unavailable:
            pass
        else:
            order = AttachRoomAudio(
                id=f"talk-{secrets.token_hex(4)}", url=given.url, token=given.token, without=self.grant.identity
            )
            await self._attached(order)
        await trio.sleep(SINK_CAP_S)  # it failed

    @property
    def _where(self) -> dict[str, str]:
        return {"app": self.grant.room.app, "room": self.grant.room.room, "ingress": self.grant.ingress_id}
