"""The middle of the worker: units of the source in, each to the sinks that want it.

``take`` is called by the thread that reads the source, ``attach`` and ``detach`` by the one that hears orders,
``_encoded`` by the one that decodes; one lock for all of them, never held while anything waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs

from streamhub.relay.audio import AudioFormat, Mix
from streamhub.relay.decoding import Decoding
from streamhub.relay.failures import failure_of, unexpected
from streamhub.relay.hls import Segmenter
from streamhub.relay.hls_sink import HlsSink
from streamhub.relay.jpeg import JpegSink
from streamhub.relay.plan import EncodeSettings, Limits, Plan, is_long_gop, plan_all, plan_hls, plan_jpeg, plan_whip
from streamhub.relay.recent import Recent
from streamhub.relay.stats import Meter, hints_for
from streamhub.relay.units import Unit
from streamhub.relay.whip import WhipSink
from streamhub.wire.relay_control import (
    AttachHls,
    AttachJpeg,
    AttachWhip,
    Detach,
    Event,
    Opened,
    SinkEnded,
    SinkRunning,
    Start,
    Stats,
    Track,
)

Sink: TypeAlias = WhipSink | HlsSink | JpegSink
Attach: TypeAlias = AttachWhip | AttachHls | AttachJpeg
_MIXED: Final = "what is said in the room is mixed in"
_CHANGED = ("the source's tracks changed", "tracks_changed", "Attach it again.")


@attrs.frozen
class Wants:
    """What sinks need of a source that can be asked: a key frame now, some now and then to cut segments at, sound."""

    key: bool
    keys: bool
    sound: bool


@attrs.define(eq=False)
class Hub:
    """``send`` never blocks."""

    start: Start
    send: Callable[[Event], None]
    meter: Meter = attrs.field(factory=Meter)
    tracks: tuple[Track, ...] = ()
    _audio: AudioFormat | None = None
    _audio_template: Any = None
    _video_extradata: bytes | None = None
    _recent: Recent = attrs.field(factory=Recent)
    _sinks: dict[str, Sink] = attrs.field(factory=dict)
    _plans: dict[str, Plan] = attrs.field(factory=dict)
    _waiting: dict[str, Attach] = attrs.field(factory=dict)
    _decoding: Decoding | None = None
    _mix: Mix | None = None
    _dropped: int = 0
    _long_gop: bool = False
    _bitrate: int = AttachWhip(id="", url="", bearer="").bitrate
    _lock: threading.RLock = attrs.field(factory=threading.RLock)

    @property
    def limits(self) -> Limits:
        return Limits(max_pixels=self.start.max_pixels, max_height=self.start.max_height, gop_s=self.start.gop_s)

    # --- the source's side ---

    def wants(self) -> Wants:
        """At this moment."""
        with self._lock:
            plans = [sink.plan for sink in self._sinks.values() if not isinstance(sink, JpegSink)]
            return Wants(
                key=self._decoding is not None and self._decoding.waits,
                keys=any(plan.video == "copy" for plan in plans),
                sound=any(plan.audio != "none" for plan in plans),
            )

    def describe(
        self,
        tracks: tuple[Track, ...],
        audio: AudioFormat | None = None,
        audio_template: Any = None,
        video_extradata: bytes | None = None,
    ) -> None:
        """The source has these tracks, for the first time or anew: then sinks that cannot go on end."""
        with self._lock:
            again, before = bool(self.tracks), _video_of(self.tracks)
            self.tracks = tracks
            self._audio, self._audio_template = audio, audio_template
            self._video_extradata = video_extradata
            plans = plan_all(tracks, self.limits, self._bitrate, AttachJpeg(id="").max_height)
            self._recent.clear()
            self.send(Opened(tracks=tracks, plans=plans))
            if again:
                for sink in list(self._sinks.values()):
                    if isinstance(sink, WhipSink):
                        self._end(sink, *_CHANGED)
                if _video_of(tracks) != before:
                    self._stop_decoding()
                self._replan()
            waiting, self._waiting = self._waiting, {}
            for order in waiting.values():
                self.attach(order)

    def take(self, unit: Unit) -> None:
        """Never waits."""
        with self._lock:
            self.meter.count(unit)
            self._recent.add(unit)
            if not self._long_gop and is_long_gop(self.meter.gop_now, self.limits):
                self._long_gop = True  # stays so: no going to and fro with every group of pictures
                self._replan()
            mixes = self._mixes
            if self._mix is not None:
                self._mix.own(unit)
            for sink in self._sinks.values():
                if isinstance(sink, JpegSink):
                    if unit.kind == "video" and self._plans[sink.order.id].video == "copy" and sink.wants(unit.pts):
                        sink.pass_on(unit.data, unit.at_ms)
                elif unit.kind == "audio":
                    if sink.plan.audio != "none" and not (mixes and isinstance(sink, HlsSink)):
                        sink.queue.put(unit)
                elif sink.plan.video == "copy":
                    sink.queue.put(unit)
            if unit.kind == "video" and self._decoding is not None:
                self._decoding.queue.put(unit)

    def _encoded(self, settings: EncodeSettings, unit: Unit) -> None:
        with self._lock:
            for sink in self._sinks.values():
                if not isinstance(sink, JpegSink) and sink.plan.encode == settings:
                    sink.queue.put(unit)

    # --- sound from elsewhere ---

    @property
    def audio(self) -> AudioFormat | None:
        """The source's own, if it has any."""
        return self._audio

    @property
    def _mixes(self) -> bool:
        return self._mix is not None and self._mix.speaking

    def mix(self, mix: Mix | None) -> None:
        """From now on with that, once it speaks; None: without. HLS sinks end if they had other sound."""
        with self._lock:
            mixed, self._mix = self._mixes, mix
            if mixed:
                self._end_hls()

    def mix_speaks(self) -> None:
        """HLS has its sound from now on."""
        with self._lock:
            self._end_hls()

    def mixed(self, unit: Unit) -> None:
        """Sound for HLS."""
        with self._lock:
            if self._mixes:
                for sink in self._sinks.values():
                    if isinstance(sink, HlsSink):
                        sink.queue.put(unit)

    def _end_hls(self) -> None:
        for sink in list(self._sinks.values()):
            if isinstance(sink, HlsSink):
                self._end(sink, *_CHANGED)
        self._decode_as_needed()

    # --- orders ---

    def attach(self, order: Attach) -> None:
        """Begin a sink, as soon as the tracks are known; one of the same id is replaced."""
        with self._lock:
            if order.id in self._sinks:
                self.detach(Detach(id=order.id))
            if not self.tracks:
                self._waiting[order.id] = order
                return
            plan = self._plan(order)
            if plan.refused is not None:
                refused = plan.refused
                self.send(SinkEnded(id=order.id, error=refused.error, code=refused.code, hint=refused.hint))
                return
            self._begin(order, plan)
            self._decode_as_needed()

    def detach(self, order: Detach) -> None:
        """End a sink; SinkEnded follows if there was one."""
        with self._lock:
            sink = self._sinks.pop(order.id, None)
            self._plans.pop(order.id, None)
            if isinstance(sink, WhipSink | HlsSink):
                sink.end()
            elif self._waiting.pop(order.id, None) is not None or isinstance(sink, JpegSink):
                self.send(SinkEnded(id=order.id))
            self._decode_as_needed()

    def _plan(self, order: Attach) -> Plan:
        gop = self.meter.gop_now
        if self._long_gop:
            gop = max(gop or 0.0, self.start.gop_s * 2)
        tracks = self._measured()
        if isinstance(order, AttachWhip):
            self._bitrate = order.bitrate
            return plan_whip(tracks, self.limits, gop, order.bitrate)
        if isinstance(order, AttachHls):
            plan = plan_hls(tracks, self.limits, gop, order.container, self._bitrate)
            if self._mixes and plan.refused is None:
                return attrs.evolve(plan, audio="copy", why=f"{plan.why}; {_MIXED}" if plan.why else _MIXED)
            return plan
        return plan_jpeg(tracks, self.limits, order.max_height, key_only=order.key_only)

    def _measured(self) -> tuple[Track, ...]:
        """With a frame rate, also where the source's headers say none."""
        rate = self.meter.rate()
        return tuple(
            attrs.evolve(track, fps=round(rate, 2)) if track.kind == "video" and not track.fps and rate else track
            for track in self.tracks
        )

    def _begin(self, order: Attach, plan: Plan) -> None:
        self._plans[order.id] = plan
        if isinstance(order, AttachJpeg):
            self._sinks[order.id] = JpegSink(order, self.send)
            self._running(order.id, plan)
            return
        try:
            if isinstance(order, AttachWhip):
                whip = WhipSink(order, plan, self._audio, self._tell)
                whip.start()
                self._sinks[order.id] = whip
                self._recent.give(whip.queue, whip.plan)
                return
            template, audio, recent = self._audio_template, self._audio, plan
            if self._mix is not None and self._mix.speaking:
                template, audio, recent = self._mix.stream, self._mix.format, attrs.evolve(plan, audio="none")
            segmenter = Segmenter(order, plan.video != "none", plan.audio, template, audio, self.send)
            hls = HlsSink(order, plan, segmenter, self._tell)
            self._sinks[order.id] = hls
            hls.start()
            self._recent.give(hls.queue, recent)
            self._running(order.id, plan)
        except Exception as exc:
            self._sinks.pop(order.id, None)
            failure = failure_of(exc, opened=True)
            self.send(SinkEnded(id=order.id, error=failure.error, code=failure.code, hint=failure.hint))

    def _running(self, name: str, plan: Plan) -> None:
        self.send(SinkRunning(id=name, video=plan.video, audio=plan.audio, why=plan.why))

    def _tell(self, event: SinkRunning | SinkEnded) -> None:
        """From a sink's thread."""
        with self._lock:
            if isinstance(event, SinkEnded):
                sink = self._sinks.get(event.id)
                # A newer sink may have its id already.
                if sink is not None and not isinstance(sink, JpegSink) and sink.queue.closed:
                    del self._sinks[event.id], self._plans[event.id]
                    self._decode_as_needed()
            self.send(event)

    def _end(self, sink: WhipSink | HlsSink, error: str, code: str, hint: str) -> None:
        self._sinks.pop(sink.order.id, None)
        self._plans.pop(sink.order.id, None)
        sink.end(SinkEnded(id=sink.order.id, error=error, code=code, hint=hint))

    def _replan(self) -> None:
        """What is known has changed: HLS goes on another way, WebRTC's publisher has to begin anew."""
        for sink in list(self._sinks.values()):
            plan = self._plan(sink.order)
            if plan == self._plans.get(sink.order.id):
                continue
            if isinstance(sink, WhipSink):
                self._end(sink, *_CHANGED)
            elif isinstance(sink, HlsSink):
                pictures_came = (plan.video == "none") != (sink.plan.video == "none")
                if plan.refused is not None or pictures_came or plan.audio != sink.plan.audio:
                    refused = plan.refused
                    self._end(sink, *((refused.error, refused.code, refused.hint) if refused else _CHANGED))
                    continue
                sink.plan = self._plans[sink.order.id] = plan
                sink.queue.skip_to_key()
                self._running(sink.order.id, plan)
            elif plan.refused is not None:
                refused = plan.refused
                del self._sinks[sink.order.id]
                self.send(SinkEnded(id=sink.order.id, error=refused.error, code=refused.code, hint=refused.hint))
            else:
                self._plans[sink.order.id] = plan
        self._decode_as_needed()

    # --- decoding, while somebody needs it ---

    def _decode_as_needed(self) -> None:
        encodes = frozenset(
            sink.plan.encode
            for sink in self._sinks.values()
            if not isinstance(sink, JpegSink) and sink.plan.encode is not None
        )
        pictures = tuple(
            sink
            for sink in self._sinks.values()
            if isinstance(sink, JpegSink) and self._plans[sink.order.id].video == "encode"
        )
        if not encodes and not pictures:
            self._stop_decoding()
            return
        fresh = self._decoding is None
        if self._decoding is None:
            video = _video_of(self._measured())
            assert video is not None
            self._decoding = Decoding(
                fps=video.fps or 0.0,
                threads=self.start.threads,
                extradata=self._video_extradata,
                encoded=self._encoded,
                failed=self._decoding_failed,
                # A room is asked for a fresh one; its last may be from long ago.
                last_key=None if self.start.kind == "room" else self.meter.last_key,
            )
        self._decoding.serve(encodes, pictures)
        if fresh:
            self._decoding.start()

    def _stop_decoding(self) -> None:
        if self._decoding is not None:
            self._dropped += self._decoding.dropped
            self._decoding.queue.close(drain=False)
            self._decoding = None

    def _decoding_failed(self, exc: BaseException) -> None:
        """In the decoding thread: every sink behind it is over."""
        unexpected(exc)
        with self._lock:
            hint = "Use H.264 without B-frames, which needs no decoding."
            error = f"the pictures cannot be decoded or encoded ({type(exc).__name__})"
            for sink in list(self._sinks.values()):
                if isinstance(sink, JpegSink):
                    if self._plans[sink.order.id].video == "encode":
                        del self._sinks[sink.order.id]
                        self.send(SinkEnded(id=sink.order.id, error=error, code="decoding_failed", hint=hint))
                elif sink.plan.encode is not None:
                    self._end(sink, error, "decoding_failed", hint)
            self._stop_decoding()

    # --- the end, and what is told meanwhile ---

    def stats(self) -> Stats:
        with self._lock:
            whips = [sink for sink in self._sinks.values() if isinstance(sink, WhipSink)]
            queued = sum(sink.queue.dropped for sink in self._sinks.values() if not isinstance(sink, JpegSink))
            dropped = self._dropped + queued + (self._decoding.dropped if self._decoding is not None else 0)
            b_frames = any(sink.plan.video == "encode" for sink in whips)
            hints = hints_for(self.tracks, self.meter.gop_s, encodes_b_frames=b_frames)
            return self.meter.read([sink.pid for sink in whips if sink.pid is not None], dropped, hints)

    def finish(self, *, complete: bool, within_s: float) -> None:
        """End every sink and wait for them; ``complete``: what has come is still written."""
        with self._lock:
            self._stop_decoding()
            sinks = [sink for sink in self._sinks.values() if not isinstance(sink, JpegSink)]
            for sink in sinks:
                if isinstance(sink, HlsSink):
                    sink.end(finish=complete)
                else:
                    sink.end()
        for sink in sinks:
            sink.wait(within_s)


def _video_of(tracks: tuple[Track, ...]) -> Track | None:
    return next((track for track in tracks if track.kind == "video"), None)
