"""RTP of a room's tracks: frames in order, and what happens to lost packets."""

from __future__ import annotations

import asyncio

import attrs
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket, RtpPacket

from streamhub.relay.room.tracks import Frame, Tracks

OFFER = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=mid:0
a=msid:PA_x TR_video
a=sendonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=ssrc-group:FID 11 12
a=ssrc:11 cname:x
a=ssrc:12 cname:x
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:1
a=msid:PA_x TR_audio
a=sendonly
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=ssrc:21 cname:x
""".replace("\n", "\r\n")
BEGIN = b"\x10"  # VP8's payload descriptor: a partition begins


@attrs.define(eq=False)
class Line:
    """The tracks of the offer, and what they sent back."""

    frames: list[Frame] = attrs.field(factory=list)
    lost: list[str] = attrs.field(factory=list)
    sent: list[RtcpPsfbPacket | RtcpRtpfbPacket] = attrs.field(factory=list)
    tracks: Tracks = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        async def send(packet: bytes) -> None:
            self.sent += RtcpPacket.parse(packet)  # type: ignore[arg-type]

        self.tracks = Tracks(self.frames.append, self.lost.append, send, own_ssrc=7)
        self.tracks.offered(OFFER)

    def receive(self, seq: int, stamp: int, data: bytes, *, pt: int = 96, ssrc: int = 11) -> None:
        packet = RtpPacket(payload_type=pt, sequence_number=seq, timestamp=stamp, ssrc=ssrc, payload=data)
        to = self.tracks.route_rtp(packet)
        assert to is self.tracks
        asyncio.run(to._handle_rtp_packet(packet, 0))

    def tick(self, now: float) -> None:
        asyncio.run(self.tracks.tick(now))


def test_packets_of_a_picture_then_one_frame_once_the_next_begins() -> None:
    line = Line()
    line.receive(1, 0, BEGIN + b"ab")
    line.receive(2, 0, b"\x00cd")
    assert line.frames == []
    line.receive(3, 3000, BEGIN + b"ef")
    (frame,) = line.frames
    assert (frame.track, frame.codec, frame.data) == ("TR_video", "vp8", b"abcd")


def test_a_packet_is_missing_then_it_is_asked_for_and_its_repair_is_taken() -> None:
    line = Line()
    line.receive(1, 0, BEGIN + b"a")
    line.receive(3, 3000, BEGIN + b"c")
    (nack,) = line.sent
    assert isinstance(nack, RtcpRtpfbPacket)
    assert (nack.media_ssrc, nack.lost) == (11, [2])
    line.receive(900, 0, b"\x00\x02" + b"\x00b", pt=97, ssrc=12)
    line.receive(4, 6000, BEGIN + b"d")
    line.receive(5, 9000, BEGIN + b"e")
    assert [frame.data for frame in line.frames] == [b"ab", b"c", b"d"][: len(line.frames)]
    assert line.frames[0].data == b"ab"


def test_a_packet_never_comes_then_it_is_asked_for_again_and_given_up_for_a_key_frame() -> None:
    line = Line()
    line.receive(1, 0, BEGIN + b"a")
    line.receive(3, 3000, BEGIN + b"c")
    for n in range(5):
        line.tick(100.0 + n * 0.15)
    assert len([p for p in line.sent if isinstance(p, RtcpRtpfbPacket)]) >= 3
    assert line.lost == []
    line.tick(101.0)
    assert line.lost == ["TR_video"]
    assert isinstance(line.sent[-1], RtcpPsfbPacket)
    line.receive(4, 6000, BEGIN + b"d")
    line.receive(5, 9000, BEGIN + b"e")
    assert line.frames[-1].data == b"d"


def test_sound_then_each_packet_is_a_frame_and_late_ones_are_left_out() -> None:
    line = Line()
    for seq, data in ((5, b"a"), (7, b"c"), (6, b"b"), (8, b"d")):
        line.receive(seq, seq * 960, data, pt=111, ssrc=21)
    assert [(f.track, f.codec, f.data) for f in line.frames] == [
        ("TR_audio", "opus", b"a"),
        ("TR_audio", "opus", b"c"),
        ("TR_audio", "opus", b"d"),
    ]
    assert line.frames[2].at - line.frames[0].at == 60_000


def test_track_that_is_no_longer_offered_then_its_packets_go_nowhere() -> None:
    line = Line()
    line.tracks.offered(OFFER.replace("a=sendonly", "a=inactive", 1))
    assert line.tracks.route_rtp(RtpPacket(payload_type=96, ssrc=11)) is None
    assert line.tracks.route_rtp(RtpPacket(payload_type=111, ssrc=21)) is line.tracks


def test_key_frame_is_wanted_then_it_is_asked_of_that_track() -> None:
    line = Line()
    asyncio.run(line.tracks.ask_key("TR_video"))
    (asked,) = line.sent
    assert (asked.fmt, asked.media_ssrc) == (1, 11)
