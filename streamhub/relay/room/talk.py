"""Talk-back: what others say in the room that a relay publishes to, mixed into the sound of its HLS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from streamhub.relay.audio import RATE, AudioFormat, decoder_of
from streamhub.relay.failures import Failure, failure_of
from streamhub.relay.room.people import People
from streamhub.relay.room.session import Session
from streamhub.relay.room.sound import BLOCK_US, Sound
from streamhub.relay.room.tracks import Frame, now_us
from streamhub.relay.units import MICRO, Unit
from streamhub.wire.relay_control import AttachRoomAudio

_OWN: Final = ""  # no track has that name
_MOST_WAITING: Final = 256


@attrs.define(eq=False)
class TalkBack:
    """A ``Guest`` that only listens. ``audio``: the relay's own sound, None if it has none.

    ``begun`` is called once, when there is somebody to hear; from then on ``mixed`` gets all sound, AAC on the relay's
    timeline. ``over`` is called when it cannot go on. All in a thread of its own.
    """

    order: AttachRoomAudio
    audio: AudioFormat | None
    begun: Callable[[], None]
    mixed: Callable[[Unit], None]
    over: Callable[[Failure], None]
    speaking: bool = False
    _session: Session = attrs.field(init=False)
    _sound: Sound = attrs.field(factory=Sound)
    _decoder: AudioCodecContext | None = None
    _resampler: AudioResampler = attrs.field(factory=lambda: AudioResampler("fltp", "stereo", RATE))
    _units: list[Unit] = attrs.field(factory=list)
    _turn: threading.Lock = attrs.field(factory=threading.Lock)
    _offset: int | None = None  # from wall clock to the relay's timeline, µs
    _ended: bool = False

    def __attrs_post_init__(self) -> None:
        people = People(without=self.order.without)
        self._session = Session(self.order.url, self.order.token, self, people)
        if self.audio is not None:
            self._decoder = decoder_of(self.audio)

    @property
    def format(self) -> AudioFormat:
        return self._sound.format

    @property
    def stream(self) -> AudioStream:
        return self._sound.stream

    def start(self) -> None:
        threading.Thread(target=self._run, name="talk-back", daemon=True).start()

    def end(self, within_s: float = 0.0) -> None:
        """Leave the room. Does not wait longer than that."""
        self._ended = True
        self._session.leave(within_s)

    def own(self, unit: Unit) -> None:
        """One of the relay's units, by the thread that reads its source; never waits."""
        with self._turn:
            self._offset = unit.pts - unit.at_ms * 1000
            if unit.kind == "audio" and self.speaking and len(self._units) < _MOST_WAITING:
                self._units.append(unit)

    def _run(self) -> None:
        try:
            self._session.run()
        except Exception as exc:
            if not self._ended:
                self.over(failure_of(exc, opened=True))

    # --- as a guest -----------------------------------------------------------------------------------------

    def wanted(self, _now: float) -> set[str]:
        return self._session.people.sounds()

    def key_of(self, _now: float) -> str | None:
        return None

    def frame(self, frame: Frame) -> None:
        wall = self._wall()
        if frame.codec == "opus" and wall is not None:
            self._sound.hear(frame.track, frame.data, frame.at + wall, frame.now + wall)

    def lose(self, _track: str) -> None:
        """There are no pictures."""

    def gone(self, track: str) -> None:
        self._sound.remove(track)

    def tick(self, _now: float) -> None:
        wall = self._wall()
        if wall is None:
            return
        if not self.speaking and self._session.people.sounds():
            self.speaking = True
            self.begun()
        if not self.speaking:
            return
        now = now_us() + wall
        with self._turn:
            units, self._units = self._units, []
        for unit in units:
            self._decode(unit, now)
        for data, at in self._sound.due(now):
            at_ms = round((at - (self._offset or 0)) / 1000)
            self.mixed(Unit("audio", "audio", data, at, at, round(BLOCK_US), True, at_ms, time.monotonic()))

    def _wall(self) -> int | None:
        """What is added to this process's clock to get the relay's timeline; None until it has begun."""
        return None if self._offset is None else time.time_ns() // 1000 - now_us() + self._offset

    def _decode(self, unit: Unit, now: int) -> None:
        if self._decoder is None:
            return
        packet: av.Packet[Any] = av.Packet(unit.data)
        packet.time_base = MICRO
        packet.pts = packet.dts = unit.pts
        try:
            frames = self._decoder.decode(packet)
        except av.error.InvalidDataError:
            return
        at = unit.pts
        for frame in frames:
            frame.pts = None
            for out in self._resampler.resample(frame):
                self._sound.put(_OWN, out, at, now)
                at += out.samples * 1_000_000 // RATE
