"""The JPEG sink: pictures out of decoded frames, or of an MJPEG source as they come; never more often than asked."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import attrs
import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from streamhub.relay.encoder import scaled_size
from streamhub.wire.relay_control import AttachJpeg, Picture

_BEST, _WORST = 2, 31  # libav's scale of quantisers for JPEG


@attrs.define(eq=False)
class JpegSink:
    """``send`` never blocks. Used by the thread that decodes, or for an MJPEG source the one that reads."""

    order: AttachJpeg
    send: Callable[[Picture], None]
    _context: VideoCodecContext | None = None
    _size: tuple[int, int] = (0, 0)
    _due: float = 0.0
    _count: int = 0

    def wants(self, pts: int) -> bool:
        """Whether a picture of this time (µs) is due; asked once a picture."""
        every = 1_000_000 / self.order.fps if self.order.fps > 0 else 0
        # A quarter early: 15 of 30 pictures a second must not become 10 by jitter.
        if pts < self._due - every / 4 and self._due - pts < 10_000_000:
            return False
        self._due = max(self._due + every, pts + every / 2)
        return True

    def pass_on(self, jpeg: bytes, at_ms: int) -> None:
        """A picture that is a JPEG already."""
        self.send(Picture(at_ms=at_ms, jpeg=jpeg))

    def draw(self, frame: VideoFrame, at_ms: int) -> None:
        """Raises av.error.FFmpegError."""
        size = scaled_size(frame.width, frame.height, self.order.max_height)
        if self._context is None or size != self._size:
            context: Any = av.CodecContext.create("mjpeg", "w")
            context.width, context.height = size
            context.pix_fmt = "yuvj420p"
            context.time_base = Fraction(1, 1000)
            context.qmin = context.qmax = min(max(self.order.quality, _BEST), _WORST)
            context.thread_count = 1
            context.open()
            self._context, self._size = context, size
        ready = frame.reformat(
            width=size[0],
            height=size[1],
            format="yuvj420p",
            interpolation="FAST_BILINEAR",
            dst_color_range="JPEG",
        )
        self._count += 1
        ready.pts, ready.time_base = self._count, Fraction(1, 1000)
        for packet in self._context.encode(ready):
            self.pass_on(bytes(packet), at_ms)
