"""What a sink will get: copied, encoded or nothing, and why. A value, made by a pure function.

The rule is to copy. WebRTC takes H.264 without B-frames and Opus; HLS takes H.264 and H.265 (the latter in fMP4
alone) and AAC. Everything else is decoded once and encoded once, within the limits of the order.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from streamhub.wire.relay_control import Planned, Track

Way: TypeAlias = Literal["copy", "encode", "none"]

# What a source without a frame rate is taken to have.
_USUAL_FPS = 15.0
# Decoding H.265 costs about twice as much as H.264: it is never shown larger than this.
_MOST_H265_HEIGHT = 720


@attrs.frozen(kw_only=True)
class Limits:
    """Of the order ``Start``; ``max_height`` 0 and ``gop_s`` 0 mean any."""

    max_pixels: int
    max_height: int = 0
    gop_s: float = 0.0


@attrs.frozen
class EncodeSettings:
    """One encode; sinks with equal settings share it. ``height`` in pixels, 0: as it comes; ``bitrate`` in bit/s."""

    height: int
    bitrate: int


@attrs.frozen
class Refusal:
    """Why a sink cannot be had."""

    error: str
    code: str
    hint: str


@attrs.frozen(kw_only=True)
class Plan:
    """``encode`` is set where the video is encoded."""

    video: Way = "none"
    audio: Way = "none"
    why: str = ""
    encode: EncodeSettings | None = None
    refused: Refusal | None = None


def _track(tracks: tuple[Track, ...], kind: str) -> Track | None:
    return next((track for track in tracks if track.kind == kind), None)


def pixel_rate(track: Track, fps: float | None = None) -> int:
    """Pixels in a second."""
    return round((track.width or 0) * (track.height or 0) * (fps or track.fps or _USUAL_FPS))


def _too_many(track: Track, limits: Limits) -> Refusal | None:
    if pixel_rate(track) <= limits.max_pixels:
        return None
    size = f"{track.width}x{track.height} at {track.fps or _USUAL_FPS:.0f} fps of {track.codec}"
    return Refusal(
        f"{size} would have to be decoded, which is more than this server is set to do",
        "too_many_pixels",
        "Use the camera's sub-stream (a smaller picture in H.264); its address is in the camera's manual.",
    )


def _settings(track: Track, limits: Limits, bitrate: int) -> EncodeSettings:
    height = limits.max_height
    if track.codec == "hevc":
        height = min(height or _MOST_H265_HEIGHT, _MOST_H265_HEIGHT)
    if not height or (track.height or 0) <= height:
        height = 0
    return EncodeSettings(height, bitrate)


def _encode(track: Track, limits: Limits, bitrate: int, why: str, audio: Way) -> Plan:
    refused = _too_many(track, limits)
    if refused:
        return Plan(refused=refused)
    return Plan(video="encode", audio=audio, why=why, encode=_settings(track, limits, bitrate))


def is_long_gop(gop_s: float | None, limits: Limits) -> bool:
    """A tenth is let pass: cameras are not exact."""
    return bool(limits.gop_s) and gop_s is not None and gop_s > limits.gop_s * 1.1


def _long_gop(gop_s: float | None, limits: Limits) -> str | None:
    return f"key frames come less often than every {limits.gop_s:g} s" if is_long_gop(gop_s, limits) else None


NOTHING = Refusal("the source has neither pictures nor sound", "no_media", "Check what the source sends.")


def plan_whip(tracks: tuple[Track, ...], limits: Limits, gop_s: float | None, bitrate: int) -> Plan:
    """For WebRTC."""
    video, sound = _track(tracks, "video"), _track(tracks, "audio")
    audio: Way = "none"
    if sound is not None:
        fits = sound.codec == "opus" and sound.rate == 48_000 and sound.channels == 2
        audio = "copy" if fits else "encode"
    if video is None:
        return Plan(audio=audio, why="no pictures") if sound is not None else Plan(refused=NOTHING)
    if video.codec != "h264":
        return _encode(video, limits, bitrate, f"WebRTC does not take {video.codec} as it is", audio)
    if video.b_frames:
        return _encode(video, limits, bitrate, "WebRTC does not take B-frames", audio)
    if why := _long_gop(gop_s, limits):
        return _encode(video, limits, bitrate, why, audio)
    return Plan(video="copy", audio=audio)


def plan_hls(tracks: tuple[Track, ...], limits: Limits, gop_s: float | None, container: str, bitrate: int) -> Plan:
    """For HLS segments; ``container``: fmp4 or ts."""
    video, sound = _track(tracks, "video"), _track(tracks, "audio")
    audio: Way = "none" if sound is None else "copy" if sound.codec == "aac" else "encode"
    if video is None:
        return Plan(audio=audio, why="no pictures") if sound is not None else Plan(refused=NOTHING)
    if video.codec == "hevc" and container != "fmp4":
        return _encode(video, limits, bitrate, "H.265 goes into fMP4 segments alone", audio)
    if video.codec not in ("h264", "hevc"):
        return _encode(video, limits, bitrate, f"HLS does not take {video.codec}", audio)
    if why := _long_gop(gop_s, limits):
        return _encode(video, limits, bitrate, why, audio)
    return Plan(video="copy", audio=audio)


def plan_jpeg(tracks: tuple[Track, ...], limits: Limits, max_height: int, *, key_only: bool) -> Plan:
    """For single pictures."""
    video = _track(tracks, "video")
    if video is None:
        return Plan(refused=attrs.evolve(NOTHING, error="the source has no pictures"))
    if video.codec == "mjpeg" and (not max_height or (video.height or 0) <= max_height):
        return Plan(video="copy")
    # Key frames alone are about one picture a second.
    checked = attrs.evolve(video, fps=1.0) if key_only else video
    if refused := _too_many(checked, limits):
        return Plan(refused=refused)
    return Plan(video="encode", why=f"decoded from {video.codec}")


def plan_all(tracks: tuple[Track, ...], limits: Limits, bitrate: int, max_height: int) -> tuple[Planned, ...]:
    """What each output would get, before anything is attached: to be shown."""
    plans: dict[Literal["webrtc", "hls", "mjpeg"], Plan] = {
        "webrtc": plan_whip(tracks, limits, None, bitrate),
        "hls": plan_hls(tracks, limits, None, "fmp4", bitrate),
        "mjpeg": plan_jpeg(tracks, limits, max_height, key_only=False),
    }
    return tuple(
        Planned(output=output, video=p.video, audio=p.audio, why=p.refused.error if p.refused else p.why)
        for output, p in plans.items()
    )
