"""libav 8 as an RTMP encoder, in a process of its own: argv is the address and the codecs of video and audio.

Sends two seconds of moving pictures and noise as fast as they are taken; the codecs are libav's encoders' names.
"""

from __future__ import annotations

import array
import random
import sys
from fractions import Fraction

import av

FPS, SECONDS = 25, 2


def main() -> None:
    url, video_codec, audio_codec = sys.argv[1:]
    rate = 8000 if audio_codec.startswith("pcm") else 48_000
    with av.open(url, "w", format="flv") as out:
        video = out.add_stream(video_codec, rate=FPS)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.gop_size = FPS
        audio = out.add_stream(audio_codec, rate=rate, layout="mono" if rate == 8000 else "stereo")
        noise = random.Random(1)
        sent = 0
        for count in range(FPS * SECONDS):
            frame = av.VideoFrame(320, 240, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(((count * 5) % 256,)) * plane.buffer_size)
            frame.pts, frame.time_base = count, Fraction(1, FPS)
            out.mux(video.encode(frame))
            while sent < (count + 1) * rate // FPS:
                channels = audio.codec_context.layout.nb_channels
                wave = array.array("h", (noise.randrange(-9000, 9000) for _ in range(960 * channels)))
                sound = av.AudioFrame("s16", audio.codec_context.layout.name, 960)
                sound.planes[0].update(wave.tobytes())
                sound.sample_rate, sound.pts, sound.time_base = rate, sent, Fraction(1, rate)
                out.mux(audio.encode(sound))
                sent += 960
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


main()
