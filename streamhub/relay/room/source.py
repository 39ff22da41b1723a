"""The room as a source: pictures of one, sound of all, on the worker's timeline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import attrs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from streamhub.relay.failures import Failure
from streamhub.relay.hub import Wants
from streamhub.relay.room import signalling
from streamhub.relay.room.peer import Peer, use_loopback
from streamhub.relay.room.people import People
from streamhub.relay.room.pictures import Pictures
from streamhub.relay.room.sound import BLOCK_US, Sound
from streamhub.relay.room.tracks import Frame, now_us
from streamhub.relay.timeline import Timeline, WallClock
from streamhub.relay.units import Unit
from streamhub.wire.relay_control import Start, Track

_TICK_S: Final = 0.05
_KEY_EVERY_S: Final = 2.0  # while copied pictures are cut into segments
_KEY_AGAIN_S: Final = 1.0  # until one has come; LiveKit passes on no more than one a second or so
_NO_PICTURE_S: Final = 2.0  # until a room without pictures is one of sound alone
_SWITCH_S: Final = 3.0  # the former picture is shown until the next one comes, for so long at most
_SOUND: Final = Track(kind="audio", codec="aac", rate=48_000, channels=2)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@attrs.define(eq=False)
class RoomSource:
    """As ``LibavSource``. ``wants`` says what the sinks need just now."""

    start: Start
    describe: Callable[..., None]
    take: Callable[[Unit], None]
    wants: Callable[[], Wants]
    alive: float = attrs.field(factory=time.monotonic)
    delivered: bool = False
    _people: People = attrs.field(factory=People)
    _sound: Sound = attrs.field(factory=Sound)
    _timeline: Timeline = attrs.field(factory=Timeline)
    _wall: WallClock = attrs.field(factory=WallClock)
    _told: tuple[Track, ...] = ()
    _with_sound: bool = False
    _pictures: Pictures | None = None
    _shown: str | None = None  # the video track that is passed on
    _next: str | None = None  # the one to follow, once it has a key frame
    _next_since: float = 0.0
    _nothing_since: float = attrs.field(factory=time.monotonic)
    _coming: Pictures | None = None
    _subscribed: set[str] = attrs.field(factory=set)
    _last_at: int = 0
    _duration: int = 33_333
    _key_at: float = float("-inf")
    _asked_at: float = float("-inf")
    _loop: asyncio.AbstractEventLoop | None = None
    _leaving: asyncio.Event = attrs.field(factory=asyncio.Event)
    _left: threading.Event = attrs.field(factory=threading.Event)

    def run(self) -> None:
        """Until the room is over. Raises Failure, OSError."""
        if urlsplit(self.start.url or "").hostname in _LOOPBACK:
            use_loopback()
        try:
            asyncio.run(self._run())
        finally:
            self._left.set()

    def leave(self, within_s: float) -> None:
        """Say good-bye: LiveKit need not wait for us then."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)
            self._left.wait(within_s)

    # --- signalling -----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            async with connect(
                signalling.signal_url(self.start.url or ""),
                additional_headers={"Authorization": f"Bearer {self.start.token or ''}"},
                open_timeout=self.start.probe_s,
                max_size=1 << 22,
                ping_interval=None,
                proxy=None,
            ) as socket:
                try:
                    await self._converse(socket)
                finally:
                    await socket.send(signalling.leave())
        except InvalidStatus as exc:
            status = exc.response.status_code
            raise Failure(f"LiveKit answers {status}", "livekit_refused", "Check its version and its keys.") from None
        except InvalidHandshake:
            raise Failure("LiveKit does not speak WebSocket there", "livekit_refused", "Check its address.") from None
        except ConnectionClosed:
            raise Failure("LiveKit has closed the connection", "connection_lost", "It is tried again.") from None

    async def _converse(self, socket: ClientConnection) -> None:
        async with asyncio.timeout(self.start.probe_s):
            joined = signalling.read(await _binary(socket))
        if isinstance(joined, signalling.Left):
            raise joined.failure
        if not isinstance(joined, signalling.Joined):
            raise Failure("LiveKit says nothing of its room", "livekit_refused", "It is tried again.")
        self._people.update(joined.people)

        async def answer(sdp: str, number: int) -> None:
            await socket.send(signalling.answer(sdp, number))

        peer = Peer(joined, self._frame, self._lose, answer)
        try:
            await _first_to_end(
                self._hear(socket, peer),
                peer.run(),
                self._tick(socket, peer),
                self._ping(socket, joined.ping_s),
                self._leaving.wait(),
            )
        finally:
            await peer.close()

    async def _hear(self, socket: ClientConnection, peer: Peer) -> None:
        while True:
            match signalling.read(await _binary(socket)):
                case signalling.Updated(people, gone):
                    self._people.update(people, gone)
                case signalling.Speaking(loudness):
                    self._people.speak(loudness, time.monotonic())
                case signalling.Offered() as offer:
                    peer.offer(offer)
                case signalling.Candidate() as candidate:
                    await peer.candidate(candidate)
                case signalling.Left(failure):
                    raise failure

    async def _ping(self, socket: ClientConnection, every_s: float) -> None:
        while True:
            await socket.send(signalling.ping(round(time.time() * 1000)))
            await asyncio.sleep(every_s)

    async def _tick(self, socket: ClientConnection, peer: Peer) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            if peer.connected or not self._subscribed:
                self.alive = now
            await self._follow(socket, now)
            if peer.tracks is not None:
                await peer.tracks.tick(now)
                await self._ask_key(peer, now)
            self._pass_sound()

    # --- what is wanted of whom -----------------------------------------------------------------------------

    async def _follow(self, socket: ClientConnection, now: float) -> None:
        """Subscribe to what is to be shown and heard, and to nothing else."""
        wanted = self._people.picture(now)
        if wanted not in (self._shown, self._next):
            self._next, self._next_since, self._coming = wanted, now, None
        if wanted is None or wanted == self._shown:
            self._next = self._coming = None
        if self._next is not None and now - self._next_since > _SWITCH_S and self._shown is not None:
            self._shown, self._pictures = None, None
        if wanted is None and self._shown is not None:
            self._shown, self._pictures, self._nothing_since = None, None, now
        if wanted is None and now - self._nothing_since > _NO_PICTURE_S:
            self._tell(None)
        keep = {track for track in (self._shown, self._next) if track is not None} | self._people.sounds()
        if gone := self._subscribed - keep:
            await socket.send(signalling.subscribe(gone, wanted=False))
            for track in gone:
                self._sound.remove(track)
        if new := keep - self._subscribed:
            await socket.send(signalling.subscribe(new, wanted=True))
            if self._next in new:
                await socket.send(signalling.best_quality(self._next))
        self._subscribed = keep
        if wanted is None and self._people.unusable and not self._people.has_sound and not self.delivered:
            codecs = ", ".join(sorted(self._people.unusable))
            raise Failure(
                f"the room's video comes as {codecs}, which is not taken", "unsupported_codec", "Publish H.264 or VP8."
            )

    async def _ask_key(self, peer: Peer, now: float) -> None:
        assert peer.tracks is not None
        wants = self.wants()
        if wants.key or self._next is not None or (self._pictures is not None and not self._pictures.begun):
            track, due = self._next or self._shown, self._asked_at + _KEY_AGAIN_S
        elif wants.keys:
            track, due = self._shown, max(self._key_at + _KEY_EVERY_S, self._asked_at + _KEY_AGAIN_S)
        else:
            return
        if track is not None and now >= due:
            self._asked_at = now
            await peer.tracks.ask_key(track)

    # --- what comes -----------------------------------------------------------------------------------------

    def _frame(self, frame: Frame) -> None:
        if frame.codec == "opus":
            if self._with_sound and self.wants().sound:
                self._sound.hear(frame.track, frame.data, frame.at, frame.now)
        elif frame.track == self._next:
            self._switch(frame)
        elif frame.track == self._shown:
            if self._pictures is None or self._pictures.codec != frame.codec:
                self._pictures = Pictures(frame.codec)
            self._picture(self._pictures, frame)

    def _switch(self, frame: Frame) -> None:
        """The next one is shown from its first key frame on."""
        if self._coming is None or self._coming.codec != frame.codec:
            self._coming = Pictures(frame.codec)
        pictures = self._coming
        self._picture(pictures, frame)
        if pictures.begun:
            self._shown, self._pictures, self._next, self._coming = frame.track, pictures, None, None

    def _lose(self, track: str) -> None:
        if track == self._shown and self._pictures is not None:
            self._pictures.lose()

    def _picture(self, pictures: Pictures, frame: Frame) -> None:
        picture = pictures.take(frame.data)
        if picture is None:
            return
        if picture.key:
            self._key_at = time.monotonic()
            self._tell(pictures.track)
        track = pictures.track
        if 1_000 < frame.at - self._last_at < 200_000:
            self._duration = frame.at - self._last_at
        self._last_at = frame.at
        decode = None if track is not None and track.b_frames else frame.at
        self._unit("video", frame.codec, picture.data, frame.at, decode, self._duration, key=picture.key)

    def _pass_sound(self) -> None:
        if self._people.has_sound and not self._with_sound and self._told:
            self._tell(self._pictures.track if self._pictures is not None else None)
        if _SOUND not in self._told or not self.wants().sound:
            self._sound.rest()
            return
        for data, at in self._sound.due(now_us()):
            self._unit("audio", "audio", data, at, at, BLOCK_US, key=True)

    def _unit(
        self,
        kind: Literal["video", "audio"],
        codec: str,
        data: bytes,
        at: int,
        decode: int | None,
        duration: float,
        *,
        key: bool,
    ) -> None:
        pts, dts = self._timeline.place(kind, at, decode, duration, sound=kind == "audio")
        self.delivered = True
        at_ms = self._wall.at_ms(pts, time.time() * 1000)
        self.take(Unit(kind, codec, data, pts, dts, round(duration), key, at_ms, time.monotonic()))

    def _tell(self, video: Track | None) -> None:
        """The tracks, when they are not what they were. Sound that was there once is there to stay."""
        sound = _SOUND if self._with_sound or self._people.has_sound else None
        tracks = tuple(track for track in (video, sound) if track is not None)
        if tracks and tracks != self._told:
            self._told = tracks
            self._with_sound = sound is not None
            if sound is None:
                self.describe(tracks)
            else:
                self.describe(tracks, self._sound.format, self._sound.stream)


async def _binary(socket: ClientConnection) -> bytes:
    while True:
        message = await socket.recv()
        if isinstance(message, bytes):
            return message


async def _first_to_end(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends; what it raises is raised, the others are cancelled."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
