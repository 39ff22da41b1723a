"""Sources that libav reads: FLV from the media pipe, RTSP, and what HTTP brings."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import attrs
import av
from av.audio.stream import AudioStream
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from streamhub.relay.adts import config_of, config_of_frame, is_adts, strip_adts
from streamhub.relay.annexb import AnnexB
from streamhub.relay.audio import AudioFormat
from streamhub.relay.backfill import Backfill, Raw
from streamhub.relay.failures import Failure
from streamhub.relay.nal import sequence_sets
from streamhub.relay.options import opening_of
from streamhub.relay.peers import strangers
from streamhub.relay.shapes import audio_track, rate_of, shape_of
from streamhub.relay.timeline import Timeline, WallClock
from streamhub.relay.units import Unit
from streamhub.wire.jpeg import jpeg_size
from streamhub.wire.relay_control import Start, Track

# Demuxers that number pictures at a made-up rate: when they come is the only time they have.
_UNTIMED = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "h264", "hevc"})
_MOST_VARIANT = 1920 * 1080  # of an HLS playlist with several
_BEHIND_S: Final = 5.0
_KEY_WAIT_S: Final = 15.0
REDIRECTED: Final = Failure(
    "the camera sends its clients to another address, which is not followed",
    "redirected",
    "Enter the address it sends them to, if you trust it.",
)


@attrs.define(eq=False)
class Pace:
    """Files are played in their own time; a source that is late is not waited for."""

    _ahead: float | None = None

    def wait(self, dts: int) -> None:
        """Until this point of the timeline (µs) is due."""
        now, at = time.monotonic(), dts / 1e6
        if self._ahead is None or now - self._ahead - at > _BEHIND_S:
            self._ahead = now - at
        early = self._ahead + at - now
        if early > 0:
            time.sleep(min(early, _BEHIND_S))


@attrs.define(eq=False)
class LibavSource:
    """``describe`` and ``take`` are those of the hub. ``alive``: when the last unit came."""

    start: Start
    describe: Callable[..., None]
    take: Callable[[Unit], None]
    alive: float = attrs.field(factory=time.monotonic)
    delivered: bool = False
    leaving: threading.Event = attrs.field(factory=threading.Event)
    left: threading.Event = attrs.field(factory=threading.Event)
    # Kept for as long as the process: sinks take its streams as templates.
    _container: Any = None
    _backfill: Backfill = attrs.field(factory=lambda: Backfill(0))
    _timeline: Timeline = attrs.field(factory=Timeline)
    _wall: WallClock = attrs.field(factory=WallClock)
    _video: VideoStream | None = None
    _audio: AudioStream | None = None
    _annexb: AnnexB | None = None
    _adts: bool = False
    _config: bytes | None = None  # of AAC whose container has none
    _codec: str = ""
    _track: Track | None = None
    _known: Any = None  # what a change of the picture is seen by
    _latest: int = 0
    _pace: Pace | None = None
    _untimed: bool = False

    def run(self) -> None:
        """Until the source ends. Raises Failure, OSError, av.error.FFmpegError."""
        opening = opening_of(self.start)
        file: Any = os.fdopen(self.start.media_fd, "rb", buffering=0) if self.start.kind == "flv" else self.start.url
        self._container = container = av.open(
            file, format=opening.format, options=opening.options, timeout=opening.timeout_s, buffer_size=65_536
        )
        if self.start.kind == "rtsp" and strangers(urlsplit(self.start.url or "").hostname or ""):
            raise REDIRECTED
        self._choose(container)
        self._untimed = container.format.name in _UNTIMED
        if self.start.kind == "http" and not self._untimed:
            self._pace = Pace()
        began = time.monotonic()
        for packet in container.demux([s for s in (self._video, self._audio) if s is not None]):
            if self.leaving.is_set():
                container.close()
                self.left.set()
                return
            if packet.size:
                self._packet(packet)
            if self._track is None and self._video is not None and time.monotonic() - began > _KEY_WAIT_S:
                raise Failure(
                    f"no key frame came for {_KEY_WAIT_S:.0f} s",
                    "no_media",
                    "Set the key frame interval of the source to 2 s.",
                )
        if not self.delivered:
            raise Failure("the source ended before anything could be shown", "no_media", "Check what it sends.")

    def leave(self, within_s: float) -> None:
        """Take leave of a server (TEARDOWN) once no sink uses the source's headers any more."""
        self.leaving.set()
        self.left.wait(within_s)

    def _choose(self, container: Any) -> None:
        pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        fitting = [s for s in pictures if s.width * s.height <= _MOST_VARIANT] or pictures[:1]
        if fitting:
            self._video = max(fitting, key=lambda s: s.width * s.height)
        self._audio = container.streams.best("audio", related=self._video)
        for stream in container.streams:
            if stream not in (self._video, self._audio):
                stream.discard = Discard.all
        if self._video is None and self._audio is None:
            raise Failure("the source has neither pictures nor sound", "no_media", "Check what it sends.")
        if self._audio is not None and not self._audio.codec_context.sample_rate:
            self._audio = None  # announced, and never sent
        if self._audio is not None:
            context = self._audio.codec_context
            self._adts = context.codec.canonical_name == "aac" and not context.extradata
        if self._video is None:
            self._describe(None)
            return
        self._codec = self._video.codec_context.codec.canonical_name
        self._backfill = Backfill(self._video.codec_context.reorder_depth)
        if self._codec in ("h264", "hevc"):
            self._annexb = AnnexB.of(self._codec, self._video)

    def _packet(self, packet: Any) -> None:
        is_video = packet.stream is self._video
        base, key = packet.time_base, packet.is_keyframe or not is_video
        pts, dts, length = (
            None if value is None else value * base.numerator * 1_000_000 // base.denominator
            for value in (packet.pts, packet.dts, packet.duration)
        )
        if self._untimed:
            pts = dts = round(time.monotonic() * 1e6)
        if is_video:
            # Last, since a filter leaves the packet empty.
            data = self._annexb.convert(packet) if self._annexb is not None else bytes(packet)
            for raw in self._backfill.add(Raw(data, key, pts, dts, float(length or 0))):
                self._place(raw, is_video=True)
            return
        data = bytes(packet)
        if self._adts and is_adts(data):
            self._config = self._config or config_of_frame(data)
            data = strip_adts(data)
        self._place(Raw(data, True, pts, dts, self._samples_last(packet) or float(length or 0)), is_video=False)

    def _place(self, raw: Raw, *, is_video: bool) -> None:
        """Onto the timeline, and on to the hub."""
        if not raw.data:
            return
        kind: Literal["video", "audio"] = "video" if is_video else "audio"
        pts, dts = self._timeline.place(kind, raw.pts, raw.dts, raw.duration, sound=not is_video)
        if self._pace is not None:
            self._pace.wait(dts)
        self.alive = time.monotonic()
        if is_video:
            if raw.key:
                self._look(raw.data)
            if pts < self._latest and self._track is not None and not self._track.b_frames:
                # The headers did not say so, but pictures come in another order than they are shown.
                self._describe(attrs.evolve(self._track, b_frames=True))
            self._latest = max(self._latest, pts)
        if self._track is None and self._video is not None:
            return
        self.delivered = True
        at_ms = self._wall.at_ms(pts, time.time() * 1000)
        codec = self._codec if is_video else "audio"
        self.take(Unit(kind, codec, raw.data, pts, dts, round(raw.duration), raw.key, at_ms, self.alive))

    def _samples_last(self, packet: Any) -> float:
        """µs of a piece of sound by its count of samples: containers round to milliseconds, which adds up."""
        context = packet.stream.codec_context
        return context.frame_size * 1e6 / context.sample_rate if context.frame_size and context.sample_rate else 0.0

    def _look(self, key_frame: bytes) -> None:
        """Tell the tracks when they are not what they were."""
        assert self._video is not None
        seen: Any
        if self._annexb is not None:
            seen = sequence_sets(self._codec, key_frame)
            if seen == self._known or not seen:
                return
            try:
                shape = shape_of(self._codec, key_frame)
            except av.error.FFmpegError:
                return  # damaged: the next one tells
            size, profile = (shape.width, shape.height), shape.profile
            b_frames = shape.b_frames or bool(self._video.codec_context.has_b_frames)
        else:
            context = self._video.codec_context
            found = jpeg_size(key_frame) if self._codec == "mjpeg" else None
            size, profile, b_frames = found or (context.width, context.height), context.profile, False
            seen = size
            if seen == self._known:
                return
        self._known = seen
        self._describe(
            Track(
                kind="video",
                codec=self._codec,
                width=size[0],
                height=size[1],
                fps=None if self._untimed else rate_of(self._video),
                profile=profile,
                b_frames=b_frames,
            )
        )

    def _describe(self, video: Track | None) -> None:
        self._track = video
        audio = None if self._audio is None else audio_track(self._audio)
        sound = None
        if self._audio is not None and audio is not None:
            context = self._audio.codec_context
            if self._adts and self._config is None:
                self._config = config_of(context.sample_rate, context.channels or 2)
            extradata = self._config if self._adts else context.extradata
            sound = AudioFormat(context.codec.canonical_name, extradata, context.sample_rate, context.channels or 1)
        headers = None
        if self._video is not None and self._annexb is None:
            headers = self._video.codec_context.extradata
        self.describe(tuple(t for t in (video, audio) if t is not None), sound, self._audio, headers)
