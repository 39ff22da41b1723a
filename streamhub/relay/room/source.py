"""The room as a source: pictures of one, sound of all, on the worker's timeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

import attrs

from streamhub.relay.failures import Failure
from streamhub.relay.hub import Wants
from streamhub.relay.room.pictures import Pictures
from streamhub.relay.room.session import Session
from streamhub.relay.room.sound import BLOCK_US, SOUND, Sound
from streamhub.relay.room.tracks import Frame, now_us
from streamhub.relay.timeline import Timeline, WallClock
from streamhub.relay.units import Unit
from streamhub.wire.relay_control import Start, Track

_KEY_EVERY_S: Final = 2.0  # while copied pictures are cut into segments
_KEY_AGAIN_S: Final = 1.0  # until one has come; LiveKit passes on no more than one a second or so
_NO_PICTURE_S: Final = 2.0  # until a room without pictures is one of sound alone
_SWITCH_S: Final = 3.0  # the former picture is shown until the next one comes, for so long at most


@attrs.define(eq=False)
class RoomSource:
    """As ``LibavSource``, and a ``Guest``. ``wants`` says what the sinks need just now."""

    start: Start
    describe: Callable[..., None]
    take: Callable[[Unit], None]
    wants: Callable[[], Wants]
    delivered: bool = False
    _session: Session = attrs.field(init=False)
    _sound: Sound = attrs.field(factory=Sound)
    _timeline: Timeline = attrs.field(factory=Timeline)
    _wall: WallClock = attrs.field(factory=WallClock)
    _told: tuple[Track, ...] = ()
    _shown: str | None = None  # the video track that is passed on
    _pictures: Pictures | None = None
    _next: str | None = None  # the one to follow, once it has a key frame
    _next_since: float = 0.0
    _coming: Pictures | None = None
    _nothing_since: float = attrs.field(factory=time.monotonic)
    _last_at: int = 0
    _duration: int = 33_333
    _key_at: float = float("-inf")
    _asked_at: float = float("-inf")

    def __attrs_post_init__(self) -> None:
        start = self.start
        self._session = Session(start.url or "", start.token or "", self, patience_s=start.probe_s)

    @property
    def alive(self) -> float:
        return self._session.alive

    def run(self) -> None:
        """Until the room is over. Raises Failure, OSError."""
        self._session.run()

    def leave(self, within_s: float) -> None:
        self._session.leave(within_s)

    # --- what is wanted of whom -----------------------------------------------------------------------------

    def wanted(self, now: float) -> set[str]:
        people = self._session.people
        picture = people.picture(now)
        if picture is None and people.unusable and not people.has_sound and not self.delivered:
            codecs = ", ".join(sorted(people.unusable))
            raise Failure(
                f"the room's video comes as {codecs}, which is not taken", "unsupported_codec", "Publish H.264 or VP8."
            )
        if picture not in (self._shown, self._next):
            self._next, self._next_since, self._coming = picture, now, None
        if picture is None or picture == self._shown:
            self._next = self._coming = None
        if picture is None or (self._next is not None and now - self._next_since > _SWITCH_S):
            if self._shown is not None:
                self._nothing_since = now
            self._shown = self._pictures = None
        if picture is None and now - self._nothing_since > _NO_PICTURE_S:
            self._tell(None)
        return {track for track in (self._shown, self._next) if track is not None} | people.sounds()

    def key_of(self, now: float) -> str | None:
        wants = self.wants()
        if wants.key or self._next is not None or (self._pictures is not None and not self._pictures.begun):
            track, due = self._next or self._shown, self._asked_at + _KEY_AGAIN_S
        elif wants.keys:
            track, due = self._shown, max(self._key_at + _KEY_EVERY_S, self._asked_at + _KEY_AGAIN_S)
        else:
            return None
        if track is None or now < due:
            return None
        self._asked_at = now
        return track

    # --- what comes -----------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        if frame.codec == "opus":
            if SOUND in self._told and self.wants().sound:
                self._sound.hear(frame.track, frame.data, frame.at, frame.now)
        elif frame.track == self._next:
            self._coming = self._picture(self._coming, frame)
            if self._coming.begun:  # it is shown from its first key frame on
                self._shown, self._pictures, self._next, self._coming = frame.track, self._coming, None, None
        elif frame.track == self._shown:
            self._pictures = self._picture(self._pictures, frame)

    def lose(self, track: str) -> None:
        if track == self._shown and self._pictures is not None:
            self._pictures.lose()

    def gone(self, track: str) -> None:
        self._sound.remove(track)

    def tick(self, _now: float) -> None:
        if self._session.people.has_sound and SOUND not in self._told and self._told:
            self._tell(self._pictures.track if self._pictures is not None else None)
        if SOUND not in self._told or not self.wants().sound:
            self._sound.rest()
            return
        for data, at in self._sound.due(now_us()):
            self._unit("audio", "audio", data, at, at, BLOCK_US, key=True)

    def _picture(self, pictures: Pictures | None, frame: Frame) -> Pictures:
        if pictures is None or pictures.codec != frame.codec:
            pictures = Pictures(frame.codec)
        picture = pictures.take(frame.data)
        if picture is None:
            return pictures
        if picture.key:
            self._key_at = time.monotonic()
            self._tell(pictures.track)
        if 1_000 < frame.at - self._last_at < 200_000:
            self._duration = frame.at - self._last_at
        self._last_at = frame.at
        decode = None if pictures.track is not None and pictures.track.b_frames else frame.at
        self._unit("video", frame.codec, picture.data, frame.at, decode, self._duration, key=picture.key)
        return pictures

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
        sound = SOUND if SOUND in self._told or self._session.people.has_sound else None
        tracks = tuple(track for track in (video, sound) if track is not None)
        if not tracks or tracks == self._told:
            return
        self._told = tracks
        if sound is None:
            self.describe(tracks)
        else:
            self.describe(tracks, self._sound.format, self._sound.stream)
