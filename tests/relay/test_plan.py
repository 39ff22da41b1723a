"""What a sink gets of which source."""

from __future__ import annotations

import attrs
import pytest

from streamhub.relay.plan import EncodeSettings, Limits, Plan, plan_all, plan_hls, plan_jpeg, plan_whip
from streamhub.wire.relay_control import Track

LIMITS = Limits(max_pixels=1920 * 1080 * 30)
H264 = Track(kind="video", codec="h264", width=1280, height=720, fps=30)
B_FRAMES = attrs.evolve(H264, b_frames=True)
H265 = attrs.evolve(H264, codec="hevc", width=1920, height=1080, fps=15)
UHD = attrs.evolve(H265, width=3840, height=2160, fps=30)
MJPEG = Track(kind="video", codec="mjpeg", width=640, height=480)
AAC = Track(kind="audio", codec="aac", rate=48_000, channels=2)
G711 = Track(kind="audio", codec="pcm_alaw", rate=8_000, channels=1)
OPUS = Track(kind="audio", codec="opus", rate=48_000, channels=2)


def ways(plan: Plan) -> tuple[str, str]:
    assert plan.refused is None
    return plan.video, plan.audio


@pytest.mark.parametrize(
    ("tracks", "whip", "hls", "ts"),
    [
        ((H264, AAC), ("copy", "encode"), ("copy", "copy"), ("copy", "copy")),
        ((H264,), ("copy", "none"), ("copy", "none"), ("copy", "none")),
        ((H264, G711), ("copy", "encode"), ("copy", "encode"), ("copy", "encode")),
        ((H264, OPUS), ("copy", "copy"), ("copy", "encode"), ("copy", "encode")),
        ((B_FRAMES, AAC), ("encode", "encode"), ("copy", "copy"), ("copy", "copy")),
        ((H265, AAC), ("encode", "encode"), ("copy", "copy"), ("encode", "copy")),
        ((MJPEG,), ("encode", "none"), ("encode", "none"), ("encode", "none")),
        ((AAC,), ("none", "encode"), ("none", "copy"), ("none", "copy")),
    ],
    ids=["h264-aac", "h264", "g711", "opus", "b-frames", "h265", "mjpeg", "sound"],
)
def test_plan_of_a_source(tracks, whip, hls, ts) -> None:
    assert ways(plan_whip(tracks, LIMITS, 1.0, 2_000_000)) == whip
    assert ways(plan_hls(tracks, LIMITS, 1.0, "fmp4", 2_000_000)) == hls
    assert ways(plan_hls(tracks, LIMITS, 1.0, "ts", 2_000_000)) == ts


def test_every_encode_says_why() -> None:
    for tracks in ((B_FRAMES,), (H265,), (MJPEG,)):
        assert plan_whip(tracks, LIMITS, None, 1).why


def test_same_settings_then_one_encode_serves_both() -> None:
    whip, hls = plan_whip((MJPEG,), LIMITS, None, 2_500_000), plan_hls((MJPEG,), LIMITS, None, "fmp4", 2_500_000)
    assert whip.encode == hls.encode == EncodeSettings(height=0, bitrate=2_500_000)


def test_h265_then_webrtc_gets_at_most_720_lines_and_less_if_less_is_set() -> None:
    assert plan_whip((H265,), LIMITS, None, 1).encode == EncodeSettings(720, 1)
    assert plan_whip((H265,), attrs.evolve(LIMITS, max_height=480), None, 1).encode == EncodeSettings(480, 1)


def test_uhd_h265_then_hls_copies_it_and_the_rest_names_the_sub_stream() -> None:
    assert plan_hls((UHD,), LIMITS, None, "fmp4", 1).video == "copy"
    for plan in (plan_whip((UHD,), LIMITS, None, 1), plan_jpeg((UHD,), LIMITS, 720, key_only=False)):
        assert plan.refused is not None
        assert plan.refused.code == "too_many_pixels"
        assert "sub-stream" in plan.refused.hint
    assert plan_jpeg((UHD,), LIMITS, 720, key_only=True).video == "encode"


def test_long_gop_then_it_is_encoded_only_if_a_limit_is_set() -> None:
    assert plan_whip((H264,), LIMITS, 10.0, 1).video == "copy"
    limited = attrs.evolve(LIMITS, gop_s=4)
    assert plan_whip((H264,), limited, 10.0, 1).video == "encode"
    assert plan_hls((H264,), limited, 10.0, "fmp4", 1).video == "encode"
    assert plan_whip((H264,), limited, 4.0, 1).video == "copy"


def test_jpegs_of_an_mjpeg_source_then_they_are_passed_on_unless_too_large() -> None:
    assert plan_jpeg((MJPEG,), LIMITS, 720, key_only=False).video == "copy"
    assert plan_jpeg((MJPEG,), LIMITS, 240, key_only=False).video == "encode"


@pytest.mark.parametrize("tracks", [(), (AAC,)])
def test_pictures_of_a_source_without_any_then_refused(tracks) -> None:
    refused = plan_jpeg(tracks, LIMITS, 720, key_only=False).refused
    assert refused is not None
    assert refused.code == "no_media"


def test_all_outputs_then_each_has_its_plan_also_one_that_is_refused() -> None:
    plans = {p.output: (p.video, p.audio, p.why) for p in plan_all((UHD, AAC), LIMITS, 2_500_000, 720)}
    assert plans["hls"] == ("copy", "copy", "")
    assert plans["webrtc"][:2] == ("none", "none")
    assert "3840x2160" in plans["webrtc"][2]
    assert plans["mjpeg"][0] == "none"
    assert [p.output for p in plan_all((AAC,), LIMITS, 2_500_000, 720)] == ["webrtc", "hls", "mjpeg"]
