"""What a video stream is, read from one of its key frames."""

from __future__ import annotations

import io
from typing import Any

import attrs
import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from streamhub.relay.units import MICRO
from streamhub.wire.relay_control import Track


@attrs.frozen(eq=False)
class Shape:
    """``stream`` serves muxers as a template; it lives as long as ``container``."""

    container: Any = attrs.field(repr=False)
    stream: VideoStream
    width: int
    height: int
    profile: str | None
    b_frames: bool


def shape_of(codec: str, key_frame: bytes) -> Shape:
    """Reads an H.264 or H.265 key frame with its parameter sets (Annex B). Raises av.error.FFmpegError."""
    container = av.open(io.BytesIO(key_frame), format=codec)
    stream = container.streams.video[0]
    context = stream.codec_context
    return Shape(container, stream, context.width, context.height, context.profile, bool(context.has_b_frames))


def rate_of(stream: VideoStream) -> float | None:
    """Frames per second as the source's headers say, if that can be true."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0.1 <= rate <= 240:
            return round(float(rate), 2)
    return None


def audio_track(stream: AudioStream) -> Track:
    """A source's sound."""
    context = stream.codec_context
    return Track(
        kind="audio",
        codec=context.codec.canonical_name,
        profile=context.profile,
        rate=context.sample_rate or None,
        channels=context.channels or None,
    )


def packet_of(stream: Any, data: bytes, pts: int, dts: int, duration: int, *, key: bool) -> av.Packet[Any]:
    """A packet for a muxer; times in microseconds."""
    packet: av.Packet[Any] = av.Packet(data)
    packet.stream = stream
    packet.time_base = MICRO
    packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, key
    return packet
