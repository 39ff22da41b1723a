"""LiveKit's signalling: messages as LiveKit sends them, into values."""

from __future__ import annotations

import json

from livekit.protocol import models, rtc

from streamhub.relay.room import signalling
from streamhub.relay.room.people import Person, PublishedTrack

ANN = models.ParticipantInfo(
    sid="PA_1",
    identity="ann",
    state=models.ParticipantInfo.State.ACTIVE,
    joined_at=7,
    tracks=[
        models.TrackInfo(
            sid="TR_1",
            type=models.TrackType.VIDEO,
            source=models.TrackSource.CAMERA,
            mime_type="video/VP9",
            codecs=[models.SimulcastCodecInfo(mime_type="video/VP8")],
        ),
        models.TrackInfo(sid="TR_2", type=models.TrackType.AUDIO, mime_type="audio/opus", muted=True),
    ],
)


def read(**message: object) -> object:
    return signalling.read(rtc.SignalResponse(**message).SerializeToString())  # type: ignore[arg-type]


def test_url_then_of_the_same_host_by_websocket_without_a_token() -> None:
    url = signalling.signal_url("https://media.example.org/livekit/")
    assert url.startswith("wss://media.example.org/livekit/rtc?")
    assert "auto_subscribe=0" in url
    assert signalling.signal_url("http://127.0.0.1:7880").startswith("ws://127.0.0.1:7880/rtc?")


def test_join_then_the_people_and_the_turn_servers() -> None:
    servers = [
        rtc.ICEServer(urls=["stun:stun.example.org"]),
        rtc.ICEServer(urls=["turn:turn.example.org:443?transport=udp"], username="u", credential="s3cret"),
    ]
    joined = read(join=rtc.JoinResponse(other_participants=[ANN], ice_servers=servers, ping_interval=10))
    assert isinstance(joined, signalling.Joined)
    assert joined.people == (
        Person(
            "PA_1",
            "ann",
            7000,
            (
                PublishedTrack("TR_1", "video", codecs=frozenset({"video/vp9", "video/vp8"})),
                PublishedTrack("TR_2", "audio", muted=True, codecs=frozenset({"audio/opus"})),
            ),
        ),
    )
    assert joined.turn == ((("turn:turn.example.org:443?transport=udp",), "u", "s3cret"),)
    assert joined.ping_s == 10
    assert "s3cret" not in repr(joined)


def test_update_then_who_changed_and_who_left() -> None:
    gone = models.ParticipantInfo(sid="PA_2", state=models.ParticipantInfo.State.DISCONNECTED)
    updated = read(update=rtc.ParticipantUpdate(participants=[ANN, gone]))
    assert isinstance(updated, signalling.Updated)
    assert [person.sid for person in updated.people] == ["PA_1"]
    assert updated.gone == ("PA_2",)


def test_speakers_then_how_loud_each_is_now() -> None:
    speakers = [models.SpeakerInfo(sid="PA_1", level=0.5, active=True), models.SpeakerInfo(sid="PA_2", level=0.5)]
    assert read(speakers_changed=rtc.SpeakersChanged(speakers=speakers)) == signalling.Speaking(
        {"PA_1": 0.5, "PA_2": 0.0}
    )


def test_candidate_then_only_one_of_the_connection_that_we_receive_by() -> None:
    init = json.dumps({"candidate": "candidate:1 1 udp 1 127.0.0.1 7882 typ host", "sdpMid": "0", "sdpMLineIndex": 0})
    ours = rtc.TrickleRequest(candidateInit=init, target=rtc.SignalTarget.SUBSCRIBER)
    assert read(trickle=ours) == signalling.Candidate("1 1 udp 1 127.0.0.1 7882 typ host", "0", 0)
    assert read(trickle=rtc.TrickleRequest(candidateInit=init, target=rtc.SignalTarget.PUBLISHER)) is None
    assert read(trickle=rtc.TrickleRequest(candidateInit="{}", target=rtc.SignalTarget.SUBSCRIBER)) is None


def test_leave_then_why() -> None:
    left = read(leave=rtc.LeaveRequest(reason=models.DisconnectReason.ROOM_DELETED))
    assert isinstance(left, signalling.Left)
    assert (left.failure.code, "room deleted" in left.failure.error) == ("room_closed", True)
    left = read(leave=rtc.LeaveRequest(reason=models.DisconnectReason.SERVER_SHUTDOWN))
    assert isinstance(left, signalling.Left)
    assert left.failure.code == "connection_lost"


def test_what_is_of_no_use_then_nothing() -> None:
    assert read(pong=1) is None
    assert read(connection_quality=rtc.ConnectionQualityUpdate()) is None
