"""The HLS sink: cuts at key frames and writes segments; playlists are the server's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from streamhub.relay.audio import AudioFormat, AudioTranscoder, aac_stream
from streamhub.relay.nal import sequence_sets
from streamhub.relay.plan import Way
from streamhub.relay.segment import Sample, Template, mux_fmp4, mux_ts
from streamhub.relay.shapes import Shape, shape_of
from streamhub.relay.units import Unit
from streamhub.wire.relay_control import AttachHls, Segment

_LEAST_FIRST_S = 0.5
_EARLY = 50_000  # µs: key frames of a camera come a little before and after their second


@attrs.define(eq=False)
class _Sound:
    """The sound of the segments: copied, or made into AAC."""

    template: Template
    transcoder: AudioTranscoder | None

    @classmethod
    def make(cls, way: Way, source: Any, audio: AudioFormat | None) -> _Sound | None:
        if way == "none" or audio is None:
            return None
        if way == "copy":
            return cls(Template(source, audio.extradata), None)
        stream = aac_stream()
        return cls(Template(stream), AudioTranscoder(audio, stream.codec_context, "aac"))

    def samples(self, unit: Unit, track: int) -> list[Sample]:
        if self.transcoder is None:
            return [Sample(track, unit.data, unit.pts, unit.dts, unit.duration, True)]
        return [Sample(track, data, pts, pts, length, True) for data, pts, length in self.transcoder.feed(unit)]


@attrs.define(eq=False)
class Segmenter:
    """Units in, segments out; used by one thread. ``tell`` gets each segment once it lies whole in the folder."""

    order: AttachHls
    pictures: bool
    sound_way: Way
    sound_source: Any
    sound_format: AudioFormat | None
    tell: Callable[[Segment], None]
    _sound: _Sound | None = attrs.field(init=False)
    _number: int = 0
    _inits: int = 0
    _init: bytes = b""
    _init_name: str | None = None
    _shape: Shape | None = None
    _sets: tuple[str, bytes] | None = None
    _video: list[Unit] = attrs.field(factory=list)
    _audio: list[Sample] = attrs.field(factory=list)
    _began: Unit | None = None
    _first: bool = True
    _last_dts: int = -1
    _counters: dict[int, int] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._sound = _Sound.make(self.sound_way, self.sound_source, self.sound_format)

    def add(self, unit: Unit) -> None:
        """Raises OSError when the folder cannot be written, av.error.FFmpegError."""
        if unit.kind == "video":
            if unit.dts <= self._last_dts:
                return  # encoded anew: from here on copied pictures were written already
            self._last_dts = unit.dts
            if unit.key:
                self._key_frame(unit)
            if self._began is not None:
                self._video.append(unit)
        elif self._sound is not None:
            if not self.pictures and (self._began is None or self._long_enough(unit)):
                self._cut(unit)
            if self._began is not None:
                self._audio += self._sound.samples(unit, 1 if self.pictures else 0)

    def finish(self) -> None:
        """Write what is there, however short: the source is over."""
        last = self._video[-1] if self._video else None
        if self._began is None:
            return
        if last is not None:
            end = attrs.evolve(last, pts=last.pts + last.duration, dts=last.dts + last.duration)
        elif self._audio:
            end = attrs.evolve(self._began, pts=self._audio[-1].pts + self._audio[-1].duration)
        else:
            return
        self._cut(end)

    def _long_enough(self, unit: Unit) -> bool:
        # The first one ends with its group of pictures: a player waits for it.
        wanted_s = min(self.order.segment_s, _LEAST_FIRST_S) if self._number == 0 else self.order.segment_s
        return self._began is not None and unit.pts - self._began.pts >= wanted_s * 1e6 - _EARLY

    def _key_frame(self, unit: Unit) -> None:
        sets = (unit.codec, sequence_sets(unit.codec, unit.data))
        if sets != self._sets:
            self._cut(unit)
            self._shape, self._sets, self._first = shape_of(unit.codec, unit.data), sets, True
        elif self._long_enough(unit):
            self._cut(unit)

    def _cut(self, following: Unit) -> None:
        """End the segment that ``following`` does not belong to any more, and begin the next with it."""
        began, self._began = self._began, following
        video, self._video = self._video, []
        audio, self._audio = self._audio, []
        if began is None or not (video or audio):
            return
        ends = [*(unit.dts for unit in video[1:]), following.dts]
        samples = [
            Sample(0, one.data, one.pts, one.dts, max(end - one.dts, 1), one.key)
            for one, end in zip(video, ends, strict=False)
        ]
        self._write(began, sorted(samples + audio, key=lambda s: s.dts), (following.pts - began.pts) / 1e6)

    def _write(self, began: Unit, samples: list[Sample], duration_s: float) -> None:
        templates = [Template(self._shape.stream)] if self._shape is not None else []
        if self._sound is not None:
            templates.append(self._sound.template)
        if self.order.container == "fmp4":
            init, media = mux_fmp4(templates, samples, self._number)
            if init != self._init:
                self._init_name = f"{self.order.prefix}_init_{self._inits}.mp4"
                self._put(self._init_name, init)
                self._inits += 1
                self._init, self._first = init, True
            name = f"{self.order.prefix}_{self._number}.m4s"
        else:
            media = mux_ts(templates, samples, self._counters)
            name = f"{self.order.prefix}_{self._number}.ts"
        self._put(name, media)
        self.tell(
            Segment(
                id=self.order.id,
                name=name,
                number=self._number,
                duration_s=duration_s,
                at_ms=began.at_ms,
                bytes=len(media),
                init=self._init_name,
                first=self._first,
            )
        )
        self._number += 1
        self._first = False

    def _put(self, name: str, data: bytes) -> None:
        """Nobody ever sees half of it."""
        path = Path(self.order.folder) / name
        hidden = path.with_name(f".{name}.part")
        hidden.write_bytes(data)
        hidden.replace(path)
