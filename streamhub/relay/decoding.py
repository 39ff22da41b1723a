"""The one decoder of a source, running while a sink needs pictures, and the encoders behind it.

Under load it loses pictures rather than time: late ones are not encoded, and when even decoding is too slow it goes on
at the next key frame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import attrs
import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from streamhub.relay.encoder import VideoEncoder, decode_alone, decoder_of, packet_for
from streamhub.relay.jpeg import JpegSink
from streamhub.relay.plan import EncodeSettings
from streamhub.relay.queues import UnitQueue
from streamhub.relay.units import Unit

_LATE_S: Final = 0.4  # a picture older than this is decoded and not encoded
_LOST_S: Final = 2.0
_REMEMBERED = 64


@attrs.define(eq=False)
class Decoding:
    """``encoded`` and ``failed`` are called in its thread. ``extradata`` for codecs that are not Annex B."""

    fps: float
    threads: int
    extradata: bytes | None
    encoded: Callable[[EncodeSettings, Unit], None]
    failed: Callable[[BaseException], None]
    last_key: Unit | None = None
    late: int = 0
    waits: bool = True  # for a key frame
    queue: UnitQueue = attrs.field(factory=lambda: UnitQueue(pictures=True))
    _encoders: dict[EncodeSettings, VideoEncoder] = attrs.field(factory=dict)
    _pictures: tuple[JpegSink, ...] = ()
    _wanted: frozenset[EncodeSettings] = frozenset()
    _stamps: dict[int, Unit] = attrs.field(factory=dict)
    _shown: int = -1

    def start(self) -> None:
        threading.Thread(target=self._run, name="decoding", daemon=True).start()

    def serve(self, encodes: frozenset[EncodeSettings], pictures: tuple[JpegSink, ...]) -> None:
        """From now on for these."""
        self._wanted, self._pictures = encodes, pictures

    @property
    def dropped(self) -> int:
        # Copied: the decoding thread may add one at this moment.
        return self.queue.dropped + self.late + sum(one.skipped for one in list(self._encoders.values()))

    def _run(self) -> None:
        try:
            if self.last_key is not None:
                # The first picture at once, though the stream can be entered at its next key frame only.
                self._alone(self.last_key)
            context: VideoCodecContext | None = None
            while (unit := self.queue.get()) is not None:
                if not self._wanted and self._pictures and all(sink.order.key_only for sink in self._pictures):
                    context = None
                    if unit.key:
                        self._alone(unit)
                    continue
                if context is None:
                    if not unit.key:
                        continue
                    context, self.waits = decoder_of(unit.codec, self.threads), False
                    if self.extradata:
                        context.extradata = self.extradata
                if time.monotonic() - unit.taken > _LOST_S:
                    self.queue.skip_to_key()
                    context, self.waits = None, True
                    continue
                self._remember(unit)
                try:
                    frames = context.decode(packet_for(unit))
                except av.error.InvalidDataError:
                    continue  # damaged; the next ones may not be
                except av.error.PatchWelcomeError:
                    if self._shown < 0:  # libav cannot decode this at all
                        raise
                    continue
                for frame in frames:
                    self._show(frame, self._stamps.get(frame.pts or 0, unit), key=unit.key)
        except Exception as exc:
            self.failed(exc)

    def _remember(self, unit: Unit) -> None:
        self._stamps[unit.pts] = unit
        if len(self._stamps) > _REMEMBERED:
            del self._stamps[next(iter(self._stamps))]

    def _alone(self, unit: Unit) -> None:
        try:
            frames = decode_alone(unit, self.extradata)
        except av.error.InvalidDataError:
            return
        for frame in frames[:1]:
            self._show(frame, attrs.evolve(unit, taken=time.monotonic()), key=True)

    def _show(self, frame: VideoFrame, unit: Unit, *, key: bool) -> None:
        if unit.pts <= self._shown:
            return  # shown by itself before
        if time.monotonic() - unit.taken > _LATE_S:
            self.late += 1
            return
        self._shown = unit.pts
        for settings in self._wanted:
            encoder = self._encoders.get(settings)
            if encoder is None:
                encoder = self._encoders[settings] = VideoEncoder(settings, self.fps, self.threads)
            for made in encoder.encode(frame, unit.pts, unit.at_ms, unit.taken):
                self.encoded(settings, made)
        for sink in self._pictures:
            if (key or not sink.order.key_only) and sink.wants(unit.pts):
                sink.draw(frame, unit.at_ms)
