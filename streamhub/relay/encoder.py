"""Pictures made into H.264 that every browser decodes: x264, constrained baseline, a key frame a second."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import attrs
import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange

from streamhub.relay.plan import EncodeSettings
from streamhub.relay.rate import RateControl
from streamhub.relay.units import MICRO, Unit

KEY_EVERY: Final = 1_000_000  # µs
_TICK = Fraction(1, 90_000)
_ONE_THREAD = 1280 * 720  # smaller pictures are encoded in time by one, which costs less than slices in two


def scaled_size(width: int, height: int, most_height: int) -> tuple[int, int]:
    """Even numbers, the same shape, at most so high; 0: as it is."""
    if most_height and height > most_height:
        width, height = round(width * most_height / height), most_height
    return max(width & ~1, 2), max(height & ~1, 2)


@attrs.define(eq=False)
class VideoEncoder:
    """Begins anew, with a key frame, when the pictures change size or quality. Used by one thread."""

    settings: EncodeSettings
    fps: float
    threads: int
    _context: VideoCodecContext | None = None
    _size: tuple[int, int] = (0, 0)
    _key_at: int | None = None
    _step: int = attrs.field(init=False)
    _rate: RateControl = attrs.field(init=False)
    _quantiser: int = 0

    def __attrs_post_init__(self) -> None:
        self._step = round(1_000_000 / (self.fps or 25))
        self._rate = RateControl(self.settings.bitrate, self._step)

    @property
    def skipped(self) -> int:
        """Pictures left out, so that no more is sent than the viewers' lines are taken to carry."""
        return self._rate.skipped

    def _open(self, size: tuple[int, int], matrix: int) -> VideoCodecContext:
        context: Any = av.CodecContext.create("libx264", "w")
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.time_base = _TICK
        context.framerate = Fraction(round(self.fps or 25), 1)
        context.gop_size = 600  # ours are forced by the clock, not counted
        context.max_b_frames = 0
        # Said in the stream: players guess by the size, and a camera's JPEGs are of another kind than television.
        context.color_range, context.colorspace = ColorRange.MPEG, matrix
        context.thread_count = self.threads if size[0] * size[1] > _ONE_THREAD else 1
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "forced-idr": "1",
            "qp": str(self._rate.quantiser),
            # The parameter sets are the same for every quantiser: HLS players keep their first.
            "x264-params": "stitchable=1",
        }
        context.open()
        self._context, self._size, self._quantiser, self._key_at = context, size, self._rate.quantiser, None
        return context  # type: ignore[no-any-return]

    def encode(self, frame: VideoFrame, pts: int, at_ms: int, taken: float) -> Iterator[Unit]:
        """What comes of one picture; ``pts`` in microseconds. Raises av.error.FFmpegError."""
        if not self._rate.admit(pts):
            return
        size = scaled_size(frame.width, frame.height, self.settings.height)
        due = self._key_at is None or pts - self._key_at >= KEY_EVERY - self._step // 2 or self._rate.runs_over
        if due:
            self._rate.key_due(pts)
        context = self._context
        if context is None or size != self._size or (due and self._rate.quantiser != self._quantiser):
            context = self._open(size, frame.colorspace)
        force = due or self._key_at is None
        if force:
            self._key_at = pts
        ready = _fitting(frame, size)
        # A decoded picture remembers its kind, and x264 would follow it.
        ready.pict_type = PictureType.I if force else PictureType.NONE
        ready.pts, ready.time_base = pts * 9 // 100, _TICK
        for packet in context.encode(ready):
            at = pts if packet.pts is None else int(packet.pts * 100 // 9)
            data, key = bytes(packet), bool(packet.is_keyframe)
            self._rate.count(pts, len(data), key=key)
            yield Unit("video", "h264", data, at, at, self._step, key, at_ms, taken)


def _fitting(frame: VideoFrame, size: tuple[int, int]) -> VideoFrame:
    """The picture as x264 takes it: itself, if it is so; asked for a range, libav would copy it for nothing."""
    if frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG and (frame.width, frame.height) == size:
        return frame
    return frame.reformat(
        width=size[0],
        height=size[1],
        format="yuv420p",
        interpolation="FAST_BILINEAR",
        dst_color_range="MPEG",  # JPEGs use the whole range, and no player expects that
    )


def decoder_of(codec: str, threads: int) -> VideoCodecContext:
    """Of Annex B streams, JPEGs and what else carries its parameters along. Raises ValueError (unknown codec)."""
    context: Any = av.CodecContext.create(codec, "r")
    context.thread_count = threads
    context.thread_type = "SLICE"  # threads by frame would hold a picture back for each
    # Not smoothed: 60 dB from what it would be, so not seen. H.264's B-frames are referred to at most by their like
    # beside them; H.265 uses them as P-frames, where the error would spread: there only those that nothing refers to.
    context.options = {"skip_loop_filter": "bidir" if codec == "h264" else "noref"}
    return context  # type: ignore[no-any-return]


def packet_for(unit: Unit) -> av.Packet[Any]:
    """For a decoder."""
    packet: av.Packet[Any] = av.Packet(unit.data)
    packet.time_base = MICRO
    packet.pts, packet.dts, packet.is_keyframe = unit.pts, unit.dts, unit.key
    return packet


def decode_alone(unit: Unit, extradata: bytes | None = None) -> list[VideoFrame]:
    """A key frame by itself, at once, whatever the stream's reordering."""
    context = decoder_of(unit.codec, 1)
    if extradata:
        context.extradata = extradata
    return [*context.decode(packet_for(unit)), *context.decode(None)]
