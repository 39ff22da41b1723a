"""Short clips with moving pictures and a tone, made by libav's encoders; each kind is made once a run."""

from __future__ import annotations

import array
import io
import math
from fractions import Fraction
from functools import cache
from typing import Any

import av
from av.video.frame import VideoFrame

RATE = 48_000


def picture(n: int, width: int, height: int) -> VideoFrame:
    """Number n of a series in which every picture differs from the next."""
    frame = VideoFrame(width, height, "yuv420p")
    for plane, (step, base) in zip(frame.planes, ((7, 40), (3, 90), (5, 160)), strict=True):
        line = bytes((base + (x // 8) * step + n * 5) % 200 + 20 for x in range(plane.line_size))
        plane.update(line * plane.height)
    return frame


@cache
def clip(
    kind: str,
    video: str | None = "libx264",
    audio: str | None = "aac",
    *,
    seconds: int = 4,
    fps: int = 25,
    size: tuple[int, int] = (320, 240),
    b_frames: int = 0,
    gop: int = 25,
    audio_rate: int = RATE,
) -> bytes:
    """A file of libav's container ``kind``."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as out:
        pictures: Any = None
        sound: Any = None
        if video is not None:
            options = {"preset": "ultrafast"} if video.startswith("libx26") else {}
            if video == "libx264":
                options |= {"bf": str(b_frames), "b-adapt": "0", "x264-params": "scenecut=0"}
            if video == "libx265":
                options |= {"x265-params": "log-level=none:bframes=0"}
            pictures = out.add_stream(video, rate=fps, options=options)
            pictures.width, pictures.height = size
            pictures.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
            pictures.codec_context.gop_size = gop
            pictures.codec_context.thread_count = 1
        if audio is not None:
            layout = "mono" if audio.startswith("pcm") else "stereo"
            sound = out.add_stream(audio, rate=audio_rate, layout=layout)
        step = audio_rate // fps
        for n in range(seconds * fps):
            if pictures is not None:
                frame = picture(n, *size)
                frame.pts, frame.time_base = n, Fraction(1, fps)
                out.mux(pictures.encode(frame))
            if sound is not None:
                out.mux(sound.encode(_tone(n * step, step, audio_rate, sound.layout.name)))
        for stream in (pictures, sound):
            if stream is not None:
                out.mux(stream.encode(None))
    return file.getvalue()


def _tone(first: int, count: int, rate: int, layout: str) -> Any:
    channels = 1 if layout == "mono" else 2
    wave = array.array("h")
    for n in range(first, first + count):
        wave.extend([round(12_000 * math.sin(2 * math.pi * 440 * n / rate))] * channels)
    frame = av.AudioFrame(format="s16", layout=layout, samples=count)
    frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
    frame.planes[0].update(wave.tobytes())
    return frame


def flv_clip(*, seconds: int = 4, b_frames: int = 0, gop: int = 25, audio: str | None = "aac") -> bytes:
    """As an encoder would push it."""
    return clip("flv", audio=audio, seconds=seconds, b_frames=b_frames, gop=gop)


def jpegs(count: int = 10, size: tuple[int, int] = (320, 240)) -> list[bytes]:
    """A camera's pictures."""
    with av.open(io.BytesIO(), "w", format="mjpeg") as out:
        stream: Any = out.add_stream("mjpeg", rate=25, width=size[0], height=size[1])
        stream.pix_fmt = "yuvj420p"
        made = []
        for n in range(count):
            frame = picture(n, *size)
            frame.pts, frame.time_base = n, Fraction(1, 25)
            made += [bytes(packet) for packet in stream.encode(frame)]
        return made
