"""RTP of the room's tracks into coded frames, each with the time it was taken; lost packets are asked for again.

Takes the place of aiortc's receivers, which decode everything. Of aiortc are the parsing, the buffer that puts packets
in order, and what it knows of payloads.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import attrs
from aiortc.codecs import depayload, is_rtx
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import (
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
    unwrap_rtx,
)
from aiortc.sdp import SessionDescription
from aiortc.utils import uint16_gt

from streamhub.relay.room.clock import NtpClock, RtpClock, ntp_us

_PACKETS: Final = 512  # of video, waited for the one that is missing; a power of two
_GIVE_UP_S: Final = 0.6  # for so long at most
_NACK_EVERY_S: Final = 0.1
_MOST_NACKS: Final = 64


@attrs.frozen
class Frame:
    """``codec``: h264, vp8 or opus; ``at`` and ``now``: when it was taken and when it came, in microseconds."""

    track: str
    codec: str
    data: bytes = attrs.field(repr=False)
    at: int
    now: int


def now_us() -> int:
    """The clock of ``Frame``."""
    return time.monotonic_ns() // 1000


@attrs.define(eq=False)
class _Stream:
    """One SSRC."""

    track: str
    kind: str
    ssrc: int
    codecs: dict[int, RTCRtpCodecParameters]
    ntp: NtpClock
    clock: RtpClock | None = None
    buffer: JitterBuffer = attrs.field(factory=lambda: JitterBuffer(_PACKETS, is_video=True))
    nacks: NackGenerator = attrs.field(factory=NackGenerator)
    missing_since: float | None = None
    _newest: int | None = None

    def clock_of(self, codec: RTCRtpCodecParameters) -> RtpClock:
        if self.clock is None:
            self.clock = RtpClock(codec.clockRate, self.ntp)
        return self.clock

    def in_order(self, packet: RtpPacket) -> bool:
        """Sound is not waited for: what comes late is lost."""
        if self._newest is not None and not uint16_gt(packet.sequence_number, self._newest):
            return False
        self._newest = packet.sequence_number
        return True


@attrs.define(eq=False)
class Tracks:
    """``take`` gets every frame, ``lose`` the track of which pictures are lost; ``send`` sends RTCP.

    Stands where a DTLS transport of aiortc's has its router: the methods named as there are its.
    """

    take: Callable[[Frame], None]
    lose: Callable[[str], None]
    send: Callable[[bytes], Awaitable[None]]
    own_ssrc: int
    receivers: tuple[Any, ...] = ()
    _ntp: NtpClock = attrs.field(factory=NtpClock)
    _streams: dict[int, _Stream] = attrs.field(factory=dict)
    _repairs: dict[int, _Stream] = attrs.field(factory=dict)  # by the SSRC of retransmissions
    _nack_due: float = 0.0

    def offered(self, sdp: str) -> None:
        """LiveKit's offer says which SSRC is which track."""
        streams: dict[int, _Stream] = {}
        repairs: dict[int, _Stream] = {}
        for media in SessionDescription.parse(sdp).media:
            if media.kind not in ("audio", "video") or media.direction not in ("sendonly", "sendrecv"):
                continue
            track = (media.msid or "").rpartition(" ")[2]
            codecs = {codec.payloadType: codec for codec in media.rtp.codecs if codec.payloadType is not None}
            grouped = [tuple(group.items) for group in media.ssrc_group if group.semantic == "FID"]
            repair = {int(second): int(first) for first, second in grouped}
            for one in media.ssrc:
                if one.ssrc in repair:
                    continue
                stream = self._streams.get(one.ssrc)
                if stream is None or stream.track != track:
                    stream = _Stream(track, media.kind, one.ssrc, codecs, self._ntp)
                stream.codecs = codecs
                streams[one.ssrc] = stream
            repairs |= {second: streams[first] for second, first in repair.items() if first in streams}
        self._streams, self._repairs = streams, repairs

    async def ask_key(self, track: str) -> None:
        """A key frame is wanted of it (PLI, RFC 4585, 6.3.1)."""
        for stream in self._streams.values():
            if stream.track == track:
                await self.send(bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=self.own_ssrc, media_ssrc=stream.ssrc)))

    async def tick(self, now: float) -> None:
        """Ask again for what is missing, or give it up. ``now``: seconds of ``time.monotonic``."""
        if now < self._nack_due:
            return
        self._nack_due = now + _NACK_EVERY_S
        for stream in self._streams.values():
            if not stream.nacks.missing:
                stream.missing_since = None
            elif stream.missing_since is None:
                stream.missing_since = now
            elif now - stream.missing_since > _GIVE_UP_S:
                await self._give_up(stream)
            else:
                await self._nack(stream)

    async def _give_up(self, stream: _Stream) -> None:
        stream.buffer = JitterBuffer(_PACKETS, is_video=True)
        stream.nacks, stream.missing_since = NackGenerator(), None
        self.lose(stream.track)
        await self.ask_key(stream.track)

    async def _nack(self, stream: _Stream) -> None:
        packet = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=self.own_ssrc, media_ssrc=stream.ssrc)
        packet.lost = sorted(stream.nacks.missing)[:_MOST_NACKS]
        await self.send(bytes(packet))

    async def _video(self, stream: _Stream, codec: RTCRtpCodecParameters, packet: RtpPacket, now: int) -> None:
        if stream.nacks.add(packet):
            await self._nack(stream)
        try:
            data = depayload(codec, packet.payload) if packet.payload else b""
        except ValueError:
            data = b""
        packet._data = data  # type: ignore[attr-defined]  # where the buffer looks for it
        lost, frame = stream.buffer.add(packet)
        if lost:
            await self._give_up(stream)
        elif frame is not None and frame.data:
            at = stream.clock_of(codec).at(frame.timestamp, now)
            self.take(Frame(stream.track, codec.name.lower(), frame.data, at, now))

    # --- as aiortc's router ---------------------------------------------------------------------------------

    def route_rtp(self, packet: RtpPacket) -> Tracks | None:
        return self if packet.ssrc in self._streams or packet.ssrc in self._repairs else None

    def route_rtcp(self, _packet: Any) -> Iterable[Tracks]:
        return (self,)

    def register_receiver(self, *_: Any, **__: Any) -> None:
        """Its own receivers get nothing."""

    unregister_receiver = register_sender = unregister_sender = register_receiver

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        stream = self._streams.get(packet.ssrc) or self._repairs[packet.ssrc]
        codec = stream.codecs.get(packet.payload_type)
        if codec is not None and is_rtx(codec):
            original = codec.parameters.get("apt")
            codec = stream.codecs.get(original) if isinstance(original, int) else None
            if codec is not None and len(packet.payload) > 2:
                packet = unwrap_rtx(packet, payload_type=codec.payloadType or 0, ssrc=stream.ssrc)
        if codec is None or packet.ssrc != stream.ssrc:
            return
        now = now_us()
        if stream.kind == "video":
            await self._video(stream, codec, packet, now)
        elif packet.payload and stream.in_order(packet):
            at = stream.clock_of(codec).at(packet.timestamp, now)
            self.take(Frame(stream.track, codec.name.lower(), packet.payload, at, now))

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket) and (stream := self._streams.get(packet.ssrc)) is not None:
            if stream.clock is None:
                return
            sent = packet.sender_info
            stream.clock.report(sent.rtp_timestamp, ntp_us(sent.ntp_timestamp), now_us())
