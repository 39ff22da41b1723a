"""The connection that LiveKit sends the room's tracks by."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aioice.ice
import attrs
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from streamhub.relay.failures import Failure
from streamhub.relay.room.signalling import Candidate, Joined, Offered
from streamhub.relay.room.tracks import Frame, Tracks

LOOPBACK: Final = "127.0.0.1"
_GONE: Final = frozenset({"failed", "closed"})


@attrs.define(eq=False)
class Peer:
    """``run`` answers the offers given to ``offer``; the tracks' frames go to ``take``, see ``Tracks``."""

    joined: Joined
    take: Callable[[Frame], None]
    lose: Callable[[str], None]
    answer: Callable[[str, int], Awaitable[None]]
    tracks: Tracks | None = None
    _pc: RTCPeerConnection = attrs.field(init=False)
    _offers: asyncio.Queue[Offered] = attrs.field(factory=asyncio.Queue)
    _candidates: list[Candidate] = attrs.field(factory=list)
    _changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        servers = [
            RTCIceServer(urls=list(urls), username=user, credential=password)
            for urls, user, password in self.joined.turn
        ]
        # LiveKit sees our address by itself; what it says about STUN servers is not needed.
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._pc.add_listener("connectionstatechange", self._changed.set)

    @property
    def connected(self) -> bool:
        return bool(self._pc.connectionState == "connected")

    def offer(self, offer: Offered) -> None:
        self._offers.put_nowait(offer)

    async def candidate(self, candidate: Candidate) -> None:
        """One of LiveKit's."""
        if self.tracks is None:  # no offer of its yet
            self._candidates.append(candidate)
            return
        found = candidate_from_sdp(candidate.candidate)
        found.sdpMid, found.sdpMLineIndex = candidate.mid, candidate.index
        await self._pc.addIceCandidate(found)

    async def run(self) -> None:
        """Until the connection is lost. Raises Failure."""
        answering = asyncio.ensure_future(self._answer_all())
        try:
            while True:
                self._changed.clear()
                if self._pc.connectionState in _GONE:
                    raise Failure("the connection to LiveKit is lost", "connection_lost", "It is tried again.")
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait((answering, changed), return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if answering.done():
                    answering.result()
        finally:
            answering.cancel()

    async def close(self) -> None:
        await self._pc.close()

    async def _answer_all(self) -> None:
        first = True
        while True:
            offer = await self._offers.get()
            if not first:
                # aiortc takes up new tracks only once it is connected.
                await self._wait_connected()
            first = False
            await self._pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            self._install().offered(offer.sdp)
            waiting, self._candidates = self._candidates, []
            for candidate in waiting:
                await self.candidate(candidate)
            await self._pc.setLocalDescription(await self._pc.createAnswer())
            await self.answer(self._pc.localDescription.sdp, offer.number)

    async def _wait_connected(self) -> None:
        while not self.connected:
            await self._changed.wait()
            await asyncio.sleep(0)

    def _install(self) -> Tracks:
        """Ours where the one transport of the bundle has its router."""
        if self.tracks is None:
            transceivers = self._pc.getTransceivers()
            transport: Any = self._pc.sctp.transport if self._pc.sctp else transceivers[0].receiver.transport

            async def send(packet: bytes) -> None:
                try:
                    await transport._send_rtp(packet)
                except ConnectionError:
                    pass  # not connected yet, or not any more

            self.tracks = Tracks(self.take, self.lose, send, own_ssrc=secrets.randbits(32))
            transport._rtp_router = self.tracks
        return self.tracks


def use_loopback() -> None:
    """Also by loopback: LiveKit runs on this machine, which may have no other network."""
    found = aioice.ice.get_host_addresses

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        own = [LOOPBACK] if use_ipv4 else []
        return [*own, *(one for one in found(use_ipv4, use_ipv6) if one != LOOPBACK)]

    aioice.ice.get_host_addresses = addresses
