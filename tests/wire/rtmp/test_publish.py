from __future__ import annotations

import attrs
import pytest

from streamhub.wire.flv import Tag, TagKind
from streamhub.wire.rtmp import amf0
from streamhub.wire.rtmp.chunks import Message
from streamhub.wire.rtmp.errors import RtmpError
from streamhub.wire.rtmp.publish import (
    MOST_COMMAND,
    WINDOW,
    Event,
    PublishRequested,
    PublishSession,
    Refused,
    Unpublished,
)
from tests.support.rtmp import (
    AAC_CONFIG,
    AUDIO,
    AVC_CONFIG,
    COMMAND,
    DATA,
    VIDEO,
    ChunkWriter,
    answers,
    media,
    opening,
    publish_commands,
    statuses,
)

HANDSHAKE = 3073


@attrs.define
class Client:
    """A session that accepts whatever is asked, with an encoder's writer beside it."""

    session: PublishSession = attrs.field(factory=PublishSession)
    writer: ChunkWriter = attrs.field(factory=ChunkWriter)
    accepts: bool = True

    def give(self, data: bytes) -> list[Event]:
        events = []
        for event in self.session.receive(data):
            if isinstance(event, PublishRequested) and self.accepts:
                self.session.accept()
            events.append(event)
        return events

    def heard(self) -> list[Message]:
        return answers(self.session.bytes_to_send())

    def open(self) -> None:
        assert self.give(opening()) == []
        assert len(self.session.bytes_to_send()) == HANDSHAKE

    def publishing(self) -> None:
        self.open()
        assert self.give(b"".join(publish_commands(self.writer, "stk_1"))) == [PublishRequested("stk_1")]
        self.session.bytes_to_send()


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def publishing() -> Client:
    client = Client()
    client.publishing()
    return client


def commands(messages: list[Message]) -> list[list[amf0.Value]]:
    return [amf0.decode(m.body) for m in messages if m.type == COMMAND]


def test_session_when_an_encoder_publishes_then_each_command_is_answered(client: Client) -> None:
    client.open()
    assert client.give(b"".join(publish_commands(client.writer, "stk_1"))) == [PublishRequested("stk_1")]
    heard = client.heard()
    assert [(m.type, m.stream_id) for m in heard if m.type != COMMAND] == [(5, 0), (6, 0), (4, 0)]
    connected, *others = commands(heard)
    assert connected[:2] == ["_result", 1.0]
    assert isinstance(connected[3], dict)
    assert connected[3]["code"] == "NetConnection.Connect.Success"
    assert "fourCcList" not in connected[3]
    assert [values[:4] for values in others[:4]] == [
        ["_result", 2.0, None, None],
        ["_result", 3.0, None, None],
        ["onFCPublish", 0.0, None, {"code": "NetStream.Publish.Start", "description": ""}],
        ["_result", 4.0, None, 1.0],
    ]
    assert [s["code"] for s in statuses(heard)] == ["NetStream.Publish.Start"]
    assert heard[-1].stream_id == 1


def test_session_when_an_encoder_knows_enhanced_rtmp_then_it_hears_which_codecs_are_taken(client: Client) -> None:
    client.open()
    client.give(client.writer.command("connect", 1.0, {"app": "live", "fourCcList": ["av01", "hvc1"]}))
    information = commands(client.heard())[0][3]
    assert isinstance(information, dict)
    assert information["fourCcList"] == ["avc1", "hvc1", "mp4a", ".mp3"]
    assert information["videoFourCcInfoMap"] == {"avc1": 4.0, "hvc1": 4.0}
    assert information["audioFourCcInfoMap"] == {"mp4a": 4.0, ".mp3": 4.0}


def test_media_when_published_then_it_comes_as_tags(publishing: Client) -> None:
    events = publishing.give(media(publishing.writer, pictures=2))
    tags = [e for e in events if isinstance(e, Tag)]
    assert tags == events
    assert [(t.kind, t.timestamp, t.body[:2]) for t in tags[1:]] == [
        (VIDEO, 0, AVC_CONFIG[:2]),
        (AUDIO, 0, AAC_CONFIG[:2]),
        (VIDEO, 0, b"\x17\1"),
        (AUDIO, 0, b"\xaf\1"),
        (VIDEO, 40, b"\x27\1"),
        (AUDIO, 40, b"\xaf\1"),
    ]
    assert amf0.decode(tags[0].body) == ["onMetaData", {"videocodecid": 7.0, "audiocodecid": 10.0}]


def test_media_when_it_comes_at_once_with_the_commands_then_nothing_is_lost(client: Client) -> None:
    client.open()
    everything = b"".join(publish_commands(client.writer, "stk_1")) + media(client.writer)
    assert len(client.give(everything)) == 1 + 9


def test_media_when_nobody_has_accepted_then_it_is_dropped() -> None:
    client = Client(accepts=False)
    client.open()
    data = b"".join(publish_commands(client.writer, "stk_1")) + media(client.writer)
    assert client.give(data) == [PublishRequested("stk_1")]


def test_data_when_not_metadata_then_it_is_dropped(publishing: Client) -> None:
    write = publishing.writer.message
    for body in (amf0.encode("onCuePoint", {}), amf0.encode("@setDataFrame"), b"", b"\xff", amf0.encode(1.0)):
        assert publishing.give(write(4, DATA, body, 0, 1)) == []
    bare = amf0.encode("onMetaData", {})
    assert publishing.give(write(4, DATA, bare, 0, 1)) == [Tag(TagKind.SCRIPT, 0, bare)]
    assert publishing.give(write(4, 15, b"\0" + bare, 5, 1)) == [Tag(TagKind.SCRIPT, 5, bare)]
    assert publishing.give(write(4, AUDIO, b"", 5, 1)) == []


def test_aggregate_when_received_then_its_parts_have_their_times(publishing: Client) -> None:
    parts = [(VIDEO, 1000, b"\x17\1\0\0\0x"), (22, 1010, b"?"), (AUDIO, 1040, b"\xaf\1x")]
    body = b"".join(
        bytes([kind]) + len(data).to_bytes(3, "big") + time.to_bytes(4, "big")[1:] + bytes(4) + data + bytes(4)
        for kind, time, data in parts
    )
    assert publishing.give(publishing.writer.message(4, 22, body, 5000, 1)) == [
        Tag(TagKind.VIDEO, 5000, parts[0][2]),
        Tag(TagKind.AUDIO, 5040, parts[2][2]),
    ]
    with pytest.raises(RtmpError, match="cut"):
        publishing.give(publishing.writer.message(4, 22, body[:-5], 5000, 1))


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (VIDEO, b"\x22", "video in Sorenson H.263 is not taken: set the encoder to H.264 or H.265"),
        (VIDEO, b"\x90av01x", "video in AV1 is not taken: set the encoder to H.264 or H.265"),
        (AUDIO, b"\xb2", "audio in Speex is not taken: set the encoder to AAC, MP3 or G.711"),
    ],
)
def test_codec_when_not_taken_then_the_encoder_is_told_its_name(
    publishing: Client, kind: int, body: bytes, told: str
) -> None:
    data = publishing.writer.message(6, kind, body, 0, 1)
    assert publishing.give(data + media(publishing.writer)) == [Refused("codec", told)]
    heard = publishing.heard()
    assert statuses(heard) == [{"level": "error", "code": "NetStream.Publish.Rejected", "description": told}]
    assert heard[-1].stream_id == 1
    assert publishing.give(media(publishing.writer)) == []


def test_codec_when_not_taken_inside_an_aggregate_then_the_rest_is_dropped(publishing: Client) -> None:
    body = (bytes([VIDEO]) + b"\0\0\1" + bytes(7) + b"\x22" + bytes(4)) * 2
    events = publishing.give(publishing.writer.message(4, 22, body, 0, 1))
    assert [type(e) for e in events] == [Refused]


@pytest.mark.parametrize(
    ("app", "name", "reason"),
    [("app", "stk_1", "wrong_path"), ("live", "", "no_key"), ("live", "?key=", "no_key")],
)
def test_publish_when_the_address_is_wrong_then_it_says_how_it_should_be(
    client: Client, app: str, name: str, reason: str
) -> None:
    client.open()
    (event,) = client.give(b"".join(publish_commands(client.writer, name, app)))
    assert isinstance(event, Refused)
    assert event.reason == reason
    (status,) = statuses(client.heard())
    assert (status["level"], status["code"]) == ("error", "NetStream.Publish.BadName")
    assert "rtmp://<host>/live" in str(status["description"])


def test_publish_when_before_connect_then_it_is_refused(client: Client) -> None:
    client.open()
    (event,) = client.give(client.writer.command("publish", 1.0, None, "stk_1"))
    assert isinstance(event, Refused)


def test_publish_when_a_second_comes_then_it_is_refused_and_the_first_goes_on(publishing: Client) -> None:
    write = publishing.writer
    data = write.command("createStream", 6.0, None) + write.command("publish", 7.0, None, "stk_2", stream_id=2)
    assert publishing.give(data) == []
    heard = publishing.heard()
    assert commands(heard)[0] == ["_result", 6.0, None, 2.0]
    assert [(s["level"], s["code"]) for s in statuses(heard)] == [("error", "NetStream.Publish.BadName")]
    assert heard[-1].stream_id == 2
    assert len(publishing.give(media(write))) == 9


def test_publish_when_refused_then_the_key_is_in_no_representation() -> None:
    client = Client(accepts=False)
    client.open()
    (event,) = client.give(b"".join(publish_commands(client.writer, "stk_secret")))
    assert "secret" not in repr(event)
    client.session.refuse("unknown stream key", "NetStream.Publish.BadName")
    assert statuses(client.heard()) == [
        {"level": "error", "code": "NetStream.Publish.BadName", "description": "unknown stream key"}
    ]


@pytest.mark.parametrize("command", ["play", "play2"])
def test_play_when_asked_for_then_it_is_refused_with_the_way(client: Client, command: str) -> None:
    client.open()
    client.give(client.writer.command("connect", 1.0, {"app": "live"}))
    client.heard()
    (event,) = client.give(client.writer.command(command, 2.0, None, "x", stream_id=1))
    assert isinstance(event, Refused)
    (status,) = statuses(client.heard())
    assert status["code"] == "NetStream.Play.Failed"
    assert "HLS or WebRTC" in str(status["description"])


@pytest.mark.parametrize("command", ["FCUnpublish", "deleteStream", "closeStream"])
def test_unpublish_when_told_then_it_ends(publishing: Client, command: str) -> None:
    write = publishing.writer
    assert publishing.give(write.command(command, 6.0, None, "stk_1") + media(write)) == [Unpublished()]
    assert [s["code"] for s in statuses(publishing.heard())] == ["NetStream.Unpublish.Success"]
    assert publishing.give(media(write)) == []


def test_command_when_not_known_or_too_early_then_it_is_passed_over(client: Client) -> None:
    client.open()
    write = client.writer
    data = write.command("deleteStream", 1.0, None) + write.command("hello", 2.0) + write.command(1.0)
    data += write.message(3, COMMAND, b"") + write.command("_checkbw") + write.command("connect", 3.0)
    assert client.give(data) == []
    assert [values[:2] for values in commands(client.heard())] == [["_result", 0.0], ["_result", 3.0]]


def test_command_when_in_the_frame_of_amf3_then_it_is_read(client: Client) -> None:
    client.open()
    body = b"\0" + amf0.encode("createStream", 4.0, None)
    assert client.give(client.writer.message(3, 17, body)) == []
    assert commands(client.heard()) == [["_result", 4.0, None, 1.0]]


def test_command_when_too_long_then_it_is_refused(publishing: Client) -> None:
    with pytest.raises(RtmpError, match="command is too long"):
        publishing.give(publishing.writer.command("x" * 60_000, "y" * (MOST_COMMAND - 60_000)))


def test_message_when_long_before_publishing_then_it_is_refused(client: Client) -> None:
    client.open()
    with pytest.raises(RtmpError, match="too long"):
        client.give(client.writer.message(6, VIDEO, b"v" * (MOST_COMMAND + 1)))
    other = Client()
    other.publishing()
    assert len(other.give(other.writer.message(6, VIDEO, AVC_CONFIG + b"v" * MOST_COMMAND, 0, 1))) == 1


def test_ping_when_it_comes_then_it_is_answered(publishing: Client) -> None:
    assert publishing.give(publishing.writer.message(2, 4, b"\0\6\1\2\3\4")) == []
    assert [(m.type, m.body) for m in publishing.heard()] == [(4, b"\0\7\1\2\3\4")]
    for other in (b"\0\3\0\0\0\1", b"\0\6"):
        assert publishing.give(publishing.writer.message(2, 4, other)) == []
    assert publishing.heard() == []


def test_window_when_it_is_full_then_what_came_is_acknowledged(publishing: Client) -> None:
    write = publishing.writer
    big = write.message(6, VIDEO, AVC_CONFIG + bytes(WINDOW), 0, 1)
    publishing.give(big)
    (acknowledgement,) = publishing.heard()
    assert acknowledgement.type == 3
    assert int.from_bytes(acknowledgement.body, "big") > WINDOW
    publishing.give(write.message(2, 5, (10_000).to_bytes(4, "big")) + write.message(2, 5, b"\0"))
    publishing.give(write.message(6, VIDEO, AVC_CONFIG + bytes(10_000), 0, 1))
    assert [m.type for m in publishing.heard()] == [3]


def test_handshake_when_it_comes_in_pieces_then_it_is_answered_once(client: Client) -> None:
    data = opening()
    assert client.give(b"") == []
    for at in range(0, len(data), 100):
        assert client.give(data[at : at + 100]) == []
        assert client.session.buffered <= len(data)
    assert len(client.session.bytes_to_send()) == HANDSHAKE
    assert client.session.bytes_to_send() == b""
    assert client.session.buffered == 0


def test_handshake_when_it_is_http_then_it_is_refused_at_once(client: Client) -> None:
    with pytest.raises(RtmpError, match="no RTMP"):
        client.give(b"GET / HTTP/1.1\r\n")
