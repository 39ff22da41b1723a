"""The door that relay workers publish by."""

from __future__ import annotations

import pytest

from streamhub.errors import NotFound, Unauthorized, Unavailable
from streamhub.ingest.relay_whip import PATH, RelayWhip
from streamhub.livekit.whip import WhipClient
from streamhub.model.ingress import WhipGrant
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import StreamType
from streamhub.wire.sdp import BadSdp
from tests.fakes.whip import ScriptedLiveKit
from tests.support.offers import ANSWER, OBS_30

GRANT = WhipGrant("IN_1", RoomKey(AppName("live"), RoomName("live-yard")), "cam", "Yard", StreamType.RTSP)


@pytest.fixture
def livekit() -> ScriptedLiveKit:
    return ScriptedLiveKit()


@pytest.fixture
def door(livekit: ScriptedLiveKit) -> RelayWhip:
    return RelayWhip(WhipClient(livekit.server()), "http://127.0.0.1:1")


async def test_pass_then_its_bearer_publishes_as_its_grant_says_and_leaves(
    door: RelayWhip, livekit: ScriptedLiveKit
) -> None:
    tcp, udp = (f"a=candidate:1 1 {kind} 9 127.0.0.1 7881 typ host\r\n" for kind in ("tcp", "udp"))
    livekit.replies["POST"] = livekit.made(ANSWER + tcp + udp)
    with door.admit(GRANT) as given:
        assert given.bearer not in repr(given)
        path, answer = await door.publish(given.bearer, OBS_30)
        assert path == f"{PATH}/{given.bearer}"
        assert answer == ANSWER + udp + tcp, "libav's muxer looks at the first candidate alone"
        claims = livekit.asked[0].claims
        assert (claims["sub"], claims["name"]) == ("cam", "Yard")
        assert claims["attributes"] == {"streamhub.type": "rtsp", "streamhub.ingress": "IN_1"}
        await door.end(given.bearer)
        assert livekit.asked[-1].method == "DELETE"
        count = len(livekit.asked)
        await door.leave(given)
        assert len(livekit.asked) == count, "it has left"


async def test_bearer_when_unknown_or_over_then_refused(door: RelayWhip) -> None:
    with door.admit(GRANT) as given:
        pass
    for bearer in (given.bearer, "", "guess"):
        with pytest.raises(Unauthorized):
            await door.publish(bearer, OBS_30)
        with pytest.raises(NotFound):
            await door.end(bearer)


async def test_leave_when_livekit_is_away_then_nothing_is_raised(door: RelayWhip, livekit: ScriptedLiveKit) -> None:
    with door.admit(GRANT) as given:
        await door.publish(given.bearer, OBS_30)
        livekit.replies["DELETE"] = Unavailable("away")
        await door.leave(given)
        assert given.session is None


async def test_offer_when_it_is_none_then_refused_and_nobody_asked(door: RelayWhip, livekit: ScriptedLiveKit) -> None:
    with door.admit(GRANT) as given:
        with pytest.raises(BadSdp):
            await door.publish(given.bearer, "no sdp")
    assert not livekit.asked
