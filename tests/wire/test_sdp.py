from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.errors import Unavailable
from streamhub.wire.sdp import BadSdp, SdpRefused, check_answer, check_offer, parse_description, udp_first
from tests.support.offers import ANSWER, OBS_30, OBS_32_SIMULCAST

VIDEO = OBS_30[OBS_30.index("m=video") :]
VIDEO_ONLY = OBS_30.replace(OBS_30[OBS_30.index("m=audio") : OBS_30.index("m=video")], "").replace("0 1\r", "1\r")


def changed(old: str, new: str, *, offer: str = OBS_30) -> str:
    assert old in offer
    return offer.replace(old, new)


@pytest.mark.parametrize(("offer", "ufrag"), [(OBS_30, "fZ8K"), (OBS_32_SIMULCAST, "pN3x")])
def test_offer_of_obs_then_its_transport_is_known(offer: str, ufrag: str) -> None:
    checked = check_offer(offer)
    assert (checked.mid, checked.ufrag) == ("0", ufrag)
    assert [(m.kind, m.sends, set(m.usable)) for m in checked.description.media] == [
        ("audio", True, {"opus"}),
        ("video", True, {"h264"}),
    ]


def test_offer_when_lines_end_in_a_newline_alone_then_it_is_read_the_same() -> None:
    assert check_offer(OBS_30.replace("\r\n", "\n")) == check_offer(OBS_30)


def test_offer_when_only_video_then_its_mid_carries_the_transport() -> None:
    assert check_offer(VIDEO_ONLY).mid == "1"


def test_offer_when_a_later_section_is_bundle_only_then_it_counts() -> None:
    offer = changed("m=video 49231", "m=video 0", offer=changed("a=mid:1\r", "a=mid:1\r\na=bundle-only\r"))
    assert [m.sends for m in check_offer(offer).description.media] == [True, True]


def test_offer_when_a_section_is_switched_off_then_the_rest_is_checked() -> None:
    offer = changed("m=audio 49231", "m=audio 0", offer=changed("BUNDLE 0 1", "BUNDLE 1"))
    assert check_offer(offer).mid == "1"


def test_offer_when_it_is_sendrecv_then_it_sends() -> None:
    assert check_offer(OBS_30.replace("a=sendonly", "a=sendrecv"))
    assert check_offer(OBS_30.replace("a=sendonly\r\n", ""))  # sendrecv is what it means


@pytest.mark.parametrize("data", ["UDP/DTLS/SCTP", "DTLS/SCTP", "TCP/DTLS/SCTP"])
def test_offer_with_a_data_channel_of_any_spelling_then_accepted(data: str) -> None:
    section = f"m=application 9 {data} webrtc-datachannel\r\na=mid:2\r\n"
    assert check_offer(changed("BUNDLE 0 1", "BUNDLE 0 1 2") + section).mid == "0"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("v=0\r\n", "", "v=0"),
        ("s=-\r\n", "s-\r\n", "line 3"),
        ("m=audio 49231 UDP/TLS/RTP/SAVPF 111", "m=audio UDP", "line 13"),
        ("m=audio 49231", "m=audio 65536", "line 13"),
        ("UDP/TLS/RTP/SAVPF 96", "RTP/AVP 96", "encrypted"),
        ("a=mid:1\r\n", "", "no mid"),
        ("a=mid:1", "a=mid:0", "same mid"),
        ("a=group:BUNDLE 0 1\r\n", "", "BUNDLE"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 0", "BUNDLE"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 9 0 1", "first mid"),
        ("a=ice-ufrag:fZ8K\r\n", "", "ice-ufrag"),
        ("a=ice-ufrag:fZ8K", "a=ice-ufrag:abc", "ice-ufrag"),
        ("a=ice-pwd:S9nGw0XcYQp4TzKd7LrJmB\r\n", "", "ice-pwd"),
        ("a=ice-pwd:S9nGw0XcYQp4TzKd7LrJmB", "a=ice-pwd:tooshort", "ice-pwd"),
        ("a=fingerprint:sha-256 51", "a=print:51", "fingerprint"),
        ("a=fingerprint:sha-256 51:9E", "a=fingerprint:sha-256 zz:9E", "fingerprint"),
    ],
)
def test_offer_when_something_is_missing_then_bad_sdp_says_what(old: str, new: str, word: str) -> None:
    with pytest.raises(BadSdp) as caught:
        check_offer(changed(old, new))
    assert word in caught.value.message
    assert "S9nGw0X" not in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("a=sendonly", "a=recvonly", "nothing_sent"),
        ("a=sendonly", "a=inactive", "nothing_sent"),
        ("opus/48000/2", "speex/16000", "no_usable_codec"),
        ("H264/90000", "MP4V-ES/90000", "no_usable_codec"),
        ("H264/90000", "rtx/90000", "no_usable_codec"),
    ],
)
def test_offer_when_nothing_can_come_of_it_then_refused(old: str, new: str, code: str) -> None:
    with pytest.raises(SdpRefused) as caught:
        check_offer(changed(old, new))
    assert (caught.value.status, caught.value.code) == (422, code)


def test_offer_when_every_section_is_off_then_refused() -> None:
    with pytest.raises(SdpRefused):
        check_offer(changed("49231 UDP", "0 UDP"))
    with pytest.raises(SdpRefused):
        check_offer("v=0\r\ns=-\r\n")


def test_offer_when_audio_is_pcmu_by_its_number_alone_then_usable() -> None:
    offer = changed("SAVPF 111", "SAVPF 0", offer=changed("a=rtpmap:111 opus/48000/2\r\n", ""))
    assert check_offer(offer).description.media[0].usable == {"pcmu"}


@pytest.mark.parametrize("codec", ["VP8", "vp9", "AV1", "H265", "h264"])
def test_offer_when_video_is_in_a_known_codec_then_accepted(codec: str) -> None:
    assert check_offer(changed("H264/90000", f"{codec}/90000"))


def test_offer_when_it_has_very_many_sections_then_bad() -> None:
    with pytest.raises(BadSdp, match="at most 16"):
        check_offer(OBS_30 + "".join(VIDEO.replace("a=mid:1", f"a=mid:{n}") for n in range(2, 20)))


def test_answer_that_takes_everything_then_nothing_happens() -> None:
    check_answer(ANSWER, check_offer(OBS_30))
    check_answer(ANSWER.replace("a=recvonly", "a=sendrecv"), check_offer(OBS_30))


def test_answer_when_a_section_we_do_not_send_is_refused_then_nothing_happens() -> None:
    offer = OBS_30[: OBS_30.index("m=video")] + VIDEO.replace("a=sendonly", "a=inactive")
    check_answer(changed("m=video 9", "m=video 0", offer=ANSWER), check_offer(offer))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("m=video 9", "m=video 0", "video"),
        ("H264/90000", "VP8/90000", "video"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 telephone-event/8000", "audio"),
        ("a=recvonly", "a=inactive", "audio"),
        ("a=recvonly", "a=sendonly", "audio"),
    ],
)
def test_answer_when_it_does_not_take_what_is_sent_then_refused(old: str, new: str, kind: str) -> None:
    with pytest.raises(SdpRefused, match=kind) as caught:
        check_answer(changed(old, new, offer=ANSWER), check_offer(OBS_30))
    assert caught.value.code == "media_refused"


@pytest.mark.parametrize("answer", ["", "<html>", ANSWER[: ANSWER.index("m=video")]])
def test_answer_when_it_is_none_then_unavailable(answer: str) -> None:
    with pytest.raises(Unavailable):
        check_answer(answer, check_offer(OBS_30))


LINES = OBS_30.split("\r\n")


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=40)), max_size=60))
def test_any_text_then_read_or_refused_in_our_words(lines: list[str]) -> None:
    for text in ("\r\n".join(lines), "\r\n".join(["v=0", *lines])):
        with suppress(BadSdp, SdpRefused):
            check_offer(text)


def test_description_when_it_carries_a_password_then_its_repr_does_not() -> None:
    assert "S9nGw0X" not in repr(parse_description(OBS_30))


def test_candidates_then_udp_ones_come_first_in_each_section_and_nothing_else_moves() -> None:
    lines = [
        "v=0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "T1",
        "U1",
        "a=recvonly",
        "T2",
        "U2",
        "m=video 9 x 1",
        "T3",
        "U3",
        "",
    ]
    written = [_candidate(line) for line in lines]
    expected = [
        "v=0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "U1",
        "U2",
        "a=recvonly",
        "T1",
        "T2",
        "m=video 9 x 1",
        "U3",
        "T3",
        "",
    ]
    assert udp_first("\r\n".join(written)) == "\r\n".join(_candidate(line) for line in expected)


@given(
    st.lists(
        st.one_of(st.sampled_from(["m=audio 9 x 1", "T1", "T2", "U1", "a=candidate:", "a=x"]), st.text(max_size=9))
    )
)
def test_candidates_of_any_text_then_its_lines_are_all_there_and_twice_changes_nothing(lines: list[str]) -> None:
    text = "\n".join(map(_candidate, lines))
    assert sorted(udp_first(text).split("\n")) == sorted(text.split("\n"))
    assert udp_first(udp_first(text)) == udp_first(text)


def _candidate(short: str) -> str:
    protocols = {"T": "tcp", "U": "udp"}
    if len(short) != 2 or short[0] not in protocols:
        return short
    return f"a=candidate:{short} 1 {protocols[short[0]]} 1671430143 127.0.0.1 374 typ host"
