from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.wire.sdp import BadSdp
from streamhub.wire.trickle import check_fragment

CANDIDATE = "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"
AUDIO = f"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{CANDIDATE}\r\n"
VIDEO = f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n{CANDIDATE.replace('61764', '61765')}\r\n"
HEAD = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"


def test_fragment_of_the_transport_then_passed_as_it_is() -> None:
    found = check_fragment(HEAD + AUDIO, "0")
    assert (found.ufrag, found.text) == ("EsAw", HEAD + AUDIO)


def test_fragment_of_all_sections_then_cut_to_the_first_bundled() -> None:
    found = check_fragment("a=group:BUNDLE 0 1\r\n" + HEAD + AUDIO + VIDEO, "0")
    assert found.text == HEAD + AUDIO


def test_fragment_of_another_section_alone_then_there_is_nothing_to_pass() -> None:
    assert check_fragment(HEAD + VIDEO, "0").text is None


def test_fragment_when_credentials_stand_in_the_section_then_found_there() -> None:
    section = AUDIO.replace("a=mid:0\r\n", "a=mid:0\r\n" + HEAD)
    assert check_fragment(section, "0").ufrag == "EsAw"


def test_fragment_that_only_ends_the_candidates_then_passed() -> None:
    text = HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n"
    assert check_fragment(text.replace("\r\n", "\n"), "0").text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=0\r\n" + HEAD,
        "hello",
        HEAD + AUDIO + "c=IN IP4 0.0.0.0\r\n",
        AUDIO,
        HEAD.partition("\n")[0] + "\n" + AUDIO,
        HEAD + CANDIDATE + "\r\n",
        HEAD + AUDIO.replace(" typ host", ""),
        HEAD + AUDIO.replace("a=candidate:", "a=candidate "),
        HEAD + AUDIO + "a=x:" + "x" * 1000 + "\r\n",
        HEAD + AUDIO + (CANDIDATE + "\r\n") * 64,
    ],
)
def test_fragment_when_it_is_none_then_bad_sdp(text: str) -> None:
    with pytest.raises(BadSdp):
        check_fragment(text, "0")


@given(st.lists(st.one_of(st.sampled_from((HEAD + AUDIO + VIDEO).split("\r\n")), st.text(max_size=30)), max_size=20))
def test_any_text_then_cut_or_refused(lines: list[str]) -> None:
    try:
        found = check_fragment("\r\n".join(lines), "0")
    except BadSdp:
        return
    assert found.text is None or check_fragment(found.text, "0").text == found.text
