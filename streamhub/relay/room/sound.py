"""Everybody's Opus, decoded, mixed, and made into AAC: what HLS carries of a room."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

import attrs
import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from streamhub.relay.audio import RATE, AudioFormat, aac_stream, decoder_of
from streamhub.relay.room.mixing import BLOCK, Mixer, Stereo
from streamhub.wire.relay_control import Track

SOUND: Final = Track(kind="audio", codec="aac", rate=RATE, channels=2)
_OPUS: Final = AudioFormat("opus", None, RATE, 2)
BLOCK_US: Final = BLOCK * 1_000_000 / RATE
# How long late sound is waited for: at least, at most; and what is added to the latest there was.
_LEAST_US: Final = 120_000
_MOST_US: Final = 1_000_000
_SPARE_US: Final = 40_000


@attrs.define(eq=False)
class Sound:
    """``hear`` what comes, ``due`` what is mixed by now. Times in microseconds of one clock; used by one thread."""

    stream: AudioStream = attrs.field(factory=aac_stream)
    _mixer: Mixer = attrs.field(factory=Mixer)
    _decoders: dict[str, AudioCodecContext] = attrs.field(factory=dict)
    _wait_us: int = _LEAST_US

    @property
    def format(self) -> AudioFormat:
        return AudioFormat("aac", self.stream.codec_context.extradata, RATE, 2)

    def hear(self, who: str, opus: bytes, at: int, now: int) -> None:
        """One packet of that track, taken at ``at``, come at ``now``."""
        decoder = self._decoders.get(who)
        if decoder is None:
            decoder = self._decoders[who] = decoder_of(_OPUS)
        packet: av.Packet[Any] = av.Packet(opus)
        try:
            frames = decoder.decode(packet)
        except av.error.InvalidDataError:
            return
        for frame in frames:
            self.put(who, frame, at, now)
            at += frame.samples * 1_000_000 // RATE

    def put(self, who: str, frame: AudioFrame, at: int, now: int) -> None:
        """As ``hear``, decoded already: planar floats, stereo, at ``RATE``."""
        self._mixer.add(who, at * RATE // 1_000_000, _planes(frame))
        self._wait_us = min(max(self._wait_us, now - at + _SPARE_US), _MOST_US)

    def remove(self, who: str) -> None:
        """That track is over."""
        self._decoders.pop(who, None)
        self._mixer.remove(who)

    def rest(self) -> None:
        """Nobody listens any more."""
        self._mixer, self._decoders = Mixer(), {}

    def due(self, now: int) -> Iterator[tuple[bytes, int]]:
        """AAC, each with its time. Raises av.error.FFmpegError."""
        for at, sound in self._mixer.take((now - self._wait_us) * RATE // 1_000_000):
            frame = AudioFrame("fltp", "stereo", BLOCK)
            for plane, channel in zip(frame.planes, sound, strict=True):
                plane.update(channel.tobytes())
            frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
            for made in self.stream.codec_context.encode(frame):
                yield bytes(made), (made.pts or 0) * 1_000_000 // RATE


def _planes(frame: AudioFrame) -> Stereo:
    size = 4 * frame.samples
    left, right = (array("f", bytes(plane)[:size]) for plane in frame.planes[:2])
    return left, right
