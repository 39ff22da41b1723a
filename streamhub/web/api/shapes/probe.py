"""What a test of a source answers."""

from __future__ import annotations

import base64
from typing import Literal

import attrs

from streamhub.model.relays import Probe
from streamhub.model.source_url import SourceUrl


@attrs.frozen(kw_only=True)
class TrackAnswer:
    kind: Literal["video", "audio"]
    codec: str
    profile: str | None
    width: int | None
    height: int | None
    fps: float | None
    b_frames: bool
    sample_rate: int | None
    channels: int | None


@attrs.frozen(kw_only=True)
class PlanAnswer:
    output: Literal["webrtc", "hls", "mjpeg"]
    video: Literal["copy", "encode", "none"]
    audio: Literal["copy", "encode", "none"]
    why: str


@attrs.frozen(kw_only=True)
class ProbeAnswer:
    url: str
    codecs: tuple[str, ...]
    width: int | None
    height: int | None
    fps: float | None
    keyframe_interval: float | None
    bitrate: int | None
    tracks: tuple[TrackAnswer, ...]
    plan: tuple[PlanAnswer, ...]
    hints: tuple[str, ...]
    jpeg: str | None


def shown_probe(url: SourceUrl, probe: Probe) -> ProbeAnswer:
    """What was found; size and rate are those of the first video track."""
    video = next((t for t in probe.tracks if t.kind == "video"), None)
    return ProbeAnswer(
        url=url.shown,
        codecs=tuple(t.codec for t in probe.tracks),
        width=video.width if video else None,
        height=video.height if video else None,
        fps=video.fps if video else None,
        keyframe_interval=probe.gop_s,
        bitrate=probe.bitrate,
        tracks=tuple(
            TrackAnswer(
                kind=t.kind,
                codec=t.codec,
                profile=t.profile,
                width=t.width,
                height=t.height,
                fps=t.fps,
                b_frames=t.b_frames,
                sample_rate=t.rate,
                channels=t.channels,
            )
            for t in probe.tracks
        ),
        plan=tuple(PlanAnswer(output=p.output, video=p.video, audio=p.audio, why=p.why) for p in probe.plans),
        hints=probe.hints,
        jpeg=None if probe.jpeg is None else f"data:image/jpeg;base64,{base64.b64encode(probe.jpeg).decode()}",
    )
