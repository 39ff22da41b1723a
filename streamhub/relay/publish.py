"""A publisher process: units on standard input, libav's WHIP muxer as the way out, JSON lines on standard output.

A process of its own, because libav shakes hands inside a call that holds Python's lock for as long as it takes: the
worker would stand still meanwhile. It ends with its input, and says goodbye to the server then.

The first line of the input is ``{"url", "bearer", "pictures", "sound", …}`` (see ``whip.py``).
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from fractions import Fraction
from typing import Any, BinaryIO, Final

import attrs
import av

from streamhub.relay.audio import BIT_RATES, RATE, AudioFormat, AudioTranscoder
from streamhub.relay.failures import failure_of
from streamhub.relay.late_dtls import ignore_late_dtls
from streamhub.relay.logs import keep_libav_quiet
from streamhub.relay.shapes import packet_of, shape_of
from streamhub.relay.units import Unit, read_unit

_HANDSHAKE_S: Final = 15.0
_WRITE_S: Final = 10.0
# libav looks at the first ICE candidate alone and gives up if that is TCP's: the order changes from answer to answer.
_TRIES: Final = 6
_FINAL = frozenset({"unauthorized", "forbidden", "not_found"})


def _say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


@attrs.define(eq=False)
class _Publication:
    out: Any
    video: Any
    audio: Any
    transcoder: AudioTranscoder | None

    @classmethod
    def open(cls, header: dict[str, Any], first: Unit) -> _Publication:
        """Connects. Raises av.error.FFmpegError, OSError."""
        whip = {"authorization": header["bearer"], "handshake_timeout": str(round(_HANDSHAKE_S * 1000))}
        out = av.open(header["url"], "w", format="whip", options=whip)
        video = audio = transcoder = None
        if header["pictures"]:
            video = out.add_stream_from_template(shape_of(first.codec, first.data).stream, opaque=True)
            video.time_base = Fraction(1, 90_000)
        if header["sound"] != "none":
            # Full effort (10) costs half as much again and nobody hears it at this bit rate.
            options = {"compression_level": "3"}
            audio = out.add_stream("libopus", RATE, options, layout="stereo", bit_rate=BIT_RATES["libopus"])
            if header["sound"] == "encode":
                extradata = bytes.fromhex(header["extradata"]) or None
                source = AudioFormat(header["codec"], extradata, header["rate"], header["channels"])
                transcoder = AudioTranscoder(source, audio.codec_context, "libopus")
        # Should libav never come back: this ends the process without Python's help.
        faulthandler.dump_traceback_later(_HANDSHAKE_S + 10, exit=True, file=sys.stderr)
        try:
            out.start_encoding()
        finally:
            faulthandler.cancel_dump_traceback_later()
        ignore_late_dtls()
        return cls(out, video, audio, transcoder)

    def write(self, unit: Unit) -> None:
        if unit.kind == "video":
            if self.video is not None:
                self.out.mux_one(packet_of(self.video, unit.data, unit.pts, unit.dts, unit.duration, key=unit.key))
        elif self.audio is not None and self.transcoder is None:
            self.out.mux_one(packet_of(self.audio, unit.data, unit.pts, unit.pts, unit.duration, key=True))
        elif self.transcoder is not None:
            for data, pts, length in self.transcoder.feed(unit):
                self.out.mux_one(packet_of(self.audio, data, pts, pts, length, key=True))

    def close(self) -> None:
        faulthandler.dump_traceback_later(5, exit=True, file=sys.stderr)
        self.out.close()


def _connect(header: dict[str, Any], first: Unit) -> _Publication:
    worker = os.getppid()
    for attempt in range(_TRIES):
        if os.getppid() != worker:
            raise BrokenPipeError  # the worker is gone meanwhile
        try:
            return _Publication.open(header, first)
        except (OSError, av.error.FFmpegError, ValueError) as exc:
            if attempt == _TRIES - 1 or failure_of(exc, opened=False).code in _FINAL:
                raise
            time.sleep(0.1 * (attempt + 1))
    raise AssertionError  # not reached


def _run(source: BinaryIO) -> None:
    header = json.loads(source.readline())
    unit = read_unit(source)
    if unit is None:
        return
    publication = _connect(header, unit)
    _say(said="running")
    while unit is not None:
        # libav may wait in there for ever for a server that has gone: the kernel ends the process then.
        signal.setitimer(signal.ITIMER_REAL, _WRITE_S)
        publication.write(unit)
        signal.setitimer(signal.ITIMER_REAL, 0)
        unit = read_unit(source)
    publication.close()


def main() -> None:
    """Exit code 0 in every case that was told."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    keep_libav_quiet()
    try:
        _run(sys.stdin.buffer)
    except BrokenPipeError:
        pass
    except Exception as exc:
        failure = failure_of(exc, opened=False)
        _say(said="failed", code=failure.code, error=failure.error)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
