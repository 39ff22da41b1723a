"""Sound made into another codec: decoded, resampled to 48 kHz stereo, encoded, on the timeline all the while."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, Protocol

import attrs
import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from streamhub.relay.units import MICRO, Unit

RATE: Final = 48_000
_TICK = Fraction(1, RATE)
# Frame sizes in samples: 20 ms of Opus; AAC has no other.
_FRAMES = {"libopus": ("s16", 960), "aac": ("fltp", 1024)}
BIT_RATES: Final = {"libopus": 96_000, "aac": 128_000}
_OFF = RATE // 10  # sound this far from where it should be is moved


@attrs.frozen
class AudioFormat:
    """What a decoder must know."""

    codec: str
    extradata: bytes | None
    rate: int
    channels: int


def decoder_of(audio: AudioFormat) -> AudioCodecContext:
    """A decoder of its own. Raises av.error.FFmpegError, ValueError (no such codec)."""
    context: Any = av.CodecContext.create(audio.codec, "r")
    if audio.extradata:
        context.extradata = audio.extradata
    context.sample_rate = audio.rate
    context.layout = "mono" if audio.channels == 1 else "stereo" if audio.channels == 2 else "5.1"
    return context  # type: ignore[no-any-return]


def aac_stream() -> AudioStream:
    """Of a muxer that writes nothing: its context encodes, and segments take the stream as their template."""
    holder: Any = av.open(io.BytesIO(), "w", format="mp4", options={"movflags": "empty_moov"})
    # The other coder costs twice as much, and is better below 64 kbit/s alone.
    options = {"aac_coder": "fast"}
    stream: AudioStream = holder.add_stream("aac", RATE, options, layout="stereo", bit_rate=BIT_RATES["aac"])
    holder.start_encoding()
    return stream


class Mix(Protocol):
    """Other sound for HLS than the source's; ``relay.room.talk`` makes it, which not every worker needs."""

    speaking: bool

    @property
    def format(self) -> AudioFormat: ...

    @property
    def stream(self) -> Any: ...

    def own(self, unit: Unit) -> None:
        """One of the source's units."""


@attrs.define(eq=False)
class AudioTranscoder:
    """``encoder`` belongs to a stream of the caller's container; ``kind``: libopus or aac."""

    source: AudioFormat
    encoder: AudioCodecContext
    kind: str
    _decoder: AudioCodecContext = attrs.field(init=False)
    _resampler: AudioResampler = attrs.field(init=False)
    _next: int | None = None  # sample count of what the encoder gets next
    _held: int = 0  # samples inside the resampler

    def __attrs_post_init__(self) -> None:
        self._decoder = decoder_of(self.source)
        self._resampler = self._fresh()

    def _fresh(self) -> AudioResampler:
        sample_format, size = _FRAMES[self.kind]
        return AudioResampler(format=sample_format, layout="stereo", rate=RATE, frame_size=size)

    def feed(self, unit: Unit) -> Iterator[tuple[bytes, int, int]]:
        """Data, PTS and duration of what comes out, in microseconds."""
        packet: av.Packet[Any] = av.Packet(unit.data)
        packet.time_base = MICRO
        packet.pts = packet.dts = unit.pts
        at = unit.pts * RATE // 1_000_000
        try:
            frames = self._decoder.decode(packet)
        except av.error.InvalidDataError:
            return  # one damaged piece
        for frame in frames:
            if self._next is None or abs(at - self._next - self._held) > _OFF:
                self._resampler, self._held, self._next = self._fresh(), 0, at
            samples = frame.samples * RATE // (frame.sample_rate or RATE)
            at += samples
            self._held += samples
            frame.pts = None
            for out in self._resampler.resample(frame):
                out.pts, out.time_base = self._next, _TICK
                self._next += out.samples
                self._held -= out.samples
                for made in self.encoder.encode(out):
                    if made.pts is not None:
                        size = _FRAMES[self.kind][1]
                        yield bytes(made), made.pts * 1_000_000 // RATE, size * 1_000_000 // RATE
