"""The WHIP door against a scripted LiveKit: what reaches it, what never does, what an encoder is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from streamhub.errors import BadRequest, NotFound, StreamHubError, TooMany, Unauthorized, Unavailable
from streamhub.ingest.whip import EtagMissing, EtagWrong, Publication, WhipDoor, WrongSdpType
from streamhub.livekit.session import Reply
from streamhub.livekit.whip import WhipClient
from streamhub.wire.sdp import BadSdp, SdpRefused
from tests.fakes.whip import DictAuthority, ScriptedLiveKit
from tests.support.offers import ANSWER, OBS_30, OBS_32_SIMULCAST
from tests.wire.test_trickle import AUDIO, VIDEO

SDP, TRICKLE = "application/sdp", "application/trickle-ice-sdpfrag"
IP = "192.0.2.9"


@pytest.fixture
def livekit() -> ScriptedLiveKit:
    return ScriptedLiveKit()


@pytest.fixture
def authority() -> DictAuthority:
    return DictAuthority()


@pytest.fixture
def door(livekit: ScriptedLiveKit, authority: DictAuthority) -> WhipDoor:
    return WhipDoor(authority, WhipClient(livekit.server()))


async def publish(
    door: WhipDoor, offer: str = OBS_30, *, key: str | None = "good", media_type: str = SDP
) -> Publication:
    return await door.publish(key, media_type, offer.encode(), IP)


def fragment(ufrag: str = "fZ8K", section: str = AUDIO) -> bytes:
    return f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:S9nGw0XcYQp4TzKd7LrJmB\r\n{section}".encode()


@pytest.mark.parametrize("offer", [OBS_30, OBS_32_SIMULCAST])
async def test_publish_then_livekit_gets_the_offer_unchanged_and_a_token_that_may_only_publish(
    door: WhipDoor, livekit: ScriptedLiveKit, offer: str
) -> None:
    made = await publish(door, offer)
    assert (made.answer, made.etag, made.links) == (ANSWER, "EtAg1", None)
    (asked,) = livekit.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/whip/v1", offer)
    assert asked.headers["Content-Type"] == "application/sdp"
    claims = asked.claims
    assert claims["sub"] == "me-good"
    assert claims["name"] == "My OBS"
    assert claims["exp"] - claims["nbf"] <= 60
    assert claims["attributes"] == {"streamhub.type": "whip", "streamhub.ingress": "IN_good"}
    assert claims["video"] == {
        "roomJoin": True,
        "room": "live-obs",
        "canPublish": True,
        "canSubscribe": False,
        "canPublishData": False,
        "canUpdateOwnMetadata": False,
        "hidden": False,
        "roomRecord": False,
    }


async def test_publish_when_livekit_names_ice_servers_then_they_are_passed_on(
    door: WhipDoor, livekit: ScriptedLiveKit
) -> None:
    links = '<turn:turn.example>; rel="ice-server"; username="u"; credential="c"'
    livekit.replies["POST"] = livekit.made(link=links)
    assert (await publish(door)).links == links


@pytest.mark.parametrize(
    ("offer", "error"),
    [
        ("hello", BadSdp),
        (OBS_30.replace("a=ice-ufrag:fZ8K\r\n", ""), BadSdp),
        (OBS_30.replace("a=sendonly", "a=recvonly"), SdpRefused),
        (OBS_30.replace("a=sendonly", "a=inactive"), SdpRefused),
        (OBS_30.replace("H264", "MP4V-ES"), SdpRefused),
        ("\udcff", BadSdp),
    ],
)
async def test_publish_when_the_offer_leads_nowhere_then_livekit_is_not_even_asked(
    door: WhipDoor, livekit: ScriptedLiveKit, offer: str, error: type[StreamHubError]
) -> None:
    with pytest.raises(error):
        await door.publish("good", SDP, offer.encode("utf-8", "surrogateescape"), IP)
    assert livekit.asked == []


@pytest.mark.parametrize("media_type", ["", "application/json", "text/plain", TRICKLE])
async def test_publish_when_the_body_is_something_else_then_415(
    door: WhipDoor, livekit: ScriptedLiveKit, media_type: str
) -> None:
    with pytest.raises(WrongSdpType):
        await publish(door, media_type=media_type)
    assert livekit.asked == []


async def test_publish_when_livekit_names_tcp_first_then_the_encoder_gets_udp_first(
    door: WhipDoor, livekit: ScriptedLiveKit
) -> None:
    tcp, udp = (f"a=candidate:1 1 {kind} 9 127.0.0.1 7881 typ host\r\n" for kind in ("tcp", "udp"))
    livekit.replies["POST"] = livekit.made(ANSWER + tcp + udp)
    made = await publish(door)
    assert made.answer == ANSWER + udp + tcp


@pytest.mark.parametrize("answer", [ANSWER.replace("m=video 9", "m=video 0"), ANSWER.replace("H264", "VP8"), "v=1"])
async def test_publish_when_the_answer_takes_less_then_the_participant_is_taken_out_again(
    door: WhipDoor, livekit: ScriptedLiveKit, authority: DictAuthority, answer: str
) -> None:
    livekit.replies["POST"] = livekit.made(answer)
    with pytest.raises((SdpRefused, Unavailable)):
        await publish(door)
    assert [(a.method, a.path) for a in livekit.asked] == [("POST", "/whip/v1"), ("DELETE", "/whip/v1/PA_1")]
    assert authority.sessions == {}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
async def test_publish_when_livekit_refuses_then_nothing_it_said_is_told(
    door: WhipDoor, livekit: ScriptedLiveKit, status: int, logged: Callable[[], str]
) -> None:
    # Its 401 repeats the whole token.
    livekit.replies["POST"] = Reply(status, {}, b'{"error": "invalid token: eyJhbGciOi.secret.sig"}')
    with pytest.raises((Unavailable, BadRequest)) as caught:
        await publish(door)
    assert "secret" not in str(caught.value.body())
    assert "secret" not in logged()


@pytest.mark.parametrize("headers", [{"location": "https://evil.example/whip/v1/PA_1"}, {"location": ""}, {"etag": ""}])
async def test_publish_when_the_answer_has_no_session_of_livekit_then_unavailable(
    door: WhipDoor, livekit: ScriptedLiveKit, headers: dict[str, str]
) -> None:
    livekit.replies["POST"] = livekit.made(**headers)
    with pytest.raises(Unavailable):
        await publish(door)


@pytest.mark.parametrize("error", [Unauthorized("revoked meanwhile"), Unavailable("disk full")])
async def test_publish_when_the_session_cannot_be_kept_then_it_is_ended(
    door: WhipDoor, livekit: ScriptedLiveKit, authority: DictAuthority, error: StreamHubError
) -> None:
    authority.refuse_to_keep = error
    with pytest.raises(type(error)):
        await publish(door)
    assert livekit.methods == ["POST", "DELETE"]


async def test_publish_when_the_encoder_leaves_before_its_answer_then_nobody_stays(
    door: WhipDoor, livekit: ScriptedLiveKit, authority: DictAuthority
) -> None:
    authority.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish, door)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert livekit.methods == ["POST", "DELETE"]


async def test_publish_when_two_come_at_once_by_one_key_then_one_after_the_other(
    door: WhipDoor, livekit: ScriptedLiveKit, authority: DictAuthority
) -> None:
    livekit.slow["POST"] = trio.Event()
    async with trio.open_nursery() as nursery:
        for key in ("good", "good", "good2"):
            nursery.start_soon(lambda k=key: publish(door, key=k))
        await trio.testing.wait_all_tasks_blocked()
        assert livekit.methods == ["POST", "POST"]  # the second of the same key waits
        livekit.slow["POST"].set()
    assert sorted(s.ingress_id for s in authority.sessions.values()) == ["IN_good", "IN_good2"]
    assert door._turns == {}


@pytest.mark.parametrize("key", [None, "", "bad"])
async def test_publish_without_a_good_key_then_401_and_after_sixty_429(door: WhipDoor, key: str | None) -> None:
    for _ in range(60):
        with pytest.raises(Unauthorized):
            await publish(door, key=key)
    with pytest.raises(TooMany):
        await publish(door, key=key)
    assert await publish(door)  # a good key passes: there may be many encoders behind one address


async def test_publish_when_one_key_starts_all_the_time_then_429(door: WhipDoor) -> None:
    for _ in range(30):
        await publish(door)
    with pytest.raises(TooMany):
        await publish(door)
    assert await publish(door, key="good2")


@pytest.mark.parametrize("if_match", ['"EtAg1"', "EtAg1", '"other", "EtAg1"'])
async def test_trickle_then_livekit_gets_the_etag_without_quotes(
    door: WhipDoor, livekit: ScriptedLiveKit, if_match: str
) -> None:
    made = await publish(door)
    await door.trickle(made.session_id, None, if_match, TRICKLE, fragment())
    asked = livekit.asked[-1]
    assert (asked.method, asked.path) == ("PATCH", "/whip/v1/PA_1")
    assert (asked.headers["If-Match"], asked.headers["Content-Type"]) == ("EtAg1", TRICKLE)
    assert asked.body.encode() == fragment()
    assert asked.claims["sub"] == "me-good"


@pytest.mark.parametrize(
    ("if_match", "ufrag"), [("*", "fZ8K"), ("*", "NEW0"), (' "EtAg1", * ', "fZ8K"), ('"EtAg1"', "NEW0")]
)
async def test_trickle_when_it_is_an_ice_restart_then_422_and_it_never_reaches_livekit(
    door: WhipDoor, livekit: ScriptedLiveKit, authority: DictAuthority, if_match: str, ufrag: str
) -> None:
    made = await publish(door)
    with pytest.raises(SdpRefused) as caught:
        await door.trickle(made.session_id, None, if_match, TRICKLE, fragment(ufrag))
    assert (caught.value.status, caught.value.code) == (422, "ice_restart_refused")
    assert livekit.methods == ["POST"]
    assert made.session_id in authority.sessions


@pytest.mark.parametrize(
    ("if_match", "media_type", "body", "error"),
    [
        (None, TRICKLE, fragment(), EtagMissing),
        ('"EtAg2"', TRICKLE, fragment(), EtagWrong),
        ('"*"', TRICKLE, fragment(), EtagWrong),
        ('"EtAg1"', SDP, fragment(), WrongSdpType),
        ('"EtAg1"', TRICKLE, b"hello", BadSdp),
        ('"EtAg1"', TRICKLE, b"\xff", BadSdp),
    ],
)
async def test_trickle_when_it_is_wrong_then_refused_here(
    door: WhipDoor,
    livekit: ScriptedLiveKit,
    if_match: str | None,
    media_type: str,
    body: bytes,
    error: type[StreamHubError],
) -> None:
    made = await publish(door)
    with pytest.raises(error):
        await door.trickle(made.session_id, None, if_match, media_type, body)
    assert livekit.methods == ["POST"]


async def test_trickle_of_another_section_then_there_is_nothing_to_pass_on(
    door: WhipDoor, livekit: ScriptedLiveKit
) -> None:
    made = await publish(door)
    await door.trickle(made.session_id, None, '"EtAg1"', TRICKLE, fragment(section=VIDEO))
    assert livekit.methods == ["POST"]


async def test_trickle_when_livekit_has_no_such_participant_then_404(door: WhipDoor, livekit: ScriptedLiveKit) -> None:
    made = await publish(door)
    livekit.replies["PATCH"] = Reply(404, {}, b"")
    with pytest.raises(NotFound):
        await door.trickle(made.session_id, None, '"EtAg1"', TRICKLE, fragment())


async def test_end_then_livekit_is_told_and_the_session_is_over(door: WhipDoor, livekit: ScriptedLiveKit) -> None:
    made = await publish(door)
    await door.end(made.session_id, None)
    assert [(a.method, a.path) for a in livekit.asked[1:]] == [("DELETE", "/whip/v1/PA_1")]
    with pytest.raises(NotFound):
        await door.end(made.session_id, None)


async def test_end_of_a_session_that_was_taken_over_then_404_and_the_new_one_goes_on(
    door: WhipDoor, livekit: ScriptedLiveKit
) -> None:
    old, new = await publish(door), await publish(door)
    with pytest.raises(NotFound):
        await door.end(old.session_id, None)
    assert livekit.methods == ["POST", "POST"]
    await door.end(new.session_id, None)


async def test_end_when_livekit_is_away_then_the_session_is_over_all_the_same(
    door: WhipDoor, livekit: ScriptedLiveKit, authority: DictAuthority
) -> None:
    made = await publish(door)
    livekit.replies["DELETE"] = Unavailable("away")
    await door.end(made.session_id, None)
    assert authority.sessions == {}


async def test_everything_when_logged_then_no_key_no_session_id_and_no_sdp(
    door: WhipDoor, livekit: ScriptedLiveKit, logged: Callable[[], str]
) -> None:
    made = await publish(door, key="good-and-secret-key")
    await door.trickle(made.session_id, None, '"EtAg1"', TRICKLE, fragment())
    await door.end(made.session_id, None)
    text = logged()
    assert "publishing" in text
    for secret in ("good-and-secret-key", made.session_id, "fZ8K", "S9nGw0X", "eyJ", "a=candidate"):
        assert secret not in text.replace("IN_good-and-secret-key", "")
    assert made.session_id not in repr(made)
    assert "S9nGw0X" not in repr(made)
