"""libav's own WHIP muxer as an encoder, in a process of its own: argv is the address, the stream key and, for pictures
of ``marks.py``, their life.

Sends moving pictures and a tone until its standard input ends.
"""

from __future__ import annotations

import array
import math
import select
import sys
import time
from fractions import Fraction

import av

from tests.support.marks import luma

FPS, RATE = 25, 48_000


def main() -> None:
    url, key, *life = sys.argv[1:]
    # Three libraries' worth of defaults: WHIP takes baseline H.264 without B-frames, and Opus at 48 kHz stereo.
    options = {"authorization": key, "handshake_timeout": "20000"}  # ms: a busy machine takes its time
    with av.open(url, "w", format="whip", options=options) as out:
        video = out.add_stream("libx264", rate=FPS, options={"tune": "zerolatency", "preset": "ultrafast", "bf": "0"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.gop_size = FPS
        audio = out.add_stream("libopus", rate=RATE, layout="stereo")
        started, count, sent = time.monotonic(), 0, 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            frame = av.VideoFrame(320, 240, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(((count * 5) % 256,)) * plane.buffer_size)
            if life:
                frame.planes[0].update(luma(int(life[0]), count % 256))
                for plane in frame.planes[1:]:
                    plane.update(b"\x80" * plane.buffer_size)
            frame.pts, frame.time_base = count, Fraction(1, FPS)
            out.mux(video.encode(frame))
            while sent < (count + 1) * RATE // FPS:
                wave = array.array("h")
                for n in range(sent, sent + 960):
                    wave.extend([int(12_000 * math.sin(2 * math.pi * 440 * n / RATE))] * 2)
                sound = av.AudioFrame("s16", "stereo", 960)
                sound.planes[0].update(wave.tobytes())
                sound.sample_rate, sound.pts, sound.time_base = RATE, sent, Fraction(1, RATE)
                out.mux(audio.encode(sound))
                sent += 960
            count += 1
            if count == 5:
                print('{"event": "sending"}', flush=True)
            time.sleep(max(0.0, started + count / FPS - time.monotonic()))


main()
