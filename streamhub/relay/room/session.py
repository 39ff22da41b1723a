"""One stay in a room: signalling, the connection, and subscriptions to what is wanted of it."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import attrs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from streamhub.relay.failures import Failure
from streamhub.relay.room import signalling
from streamhub.relay.room.peer import Peer, use_loopback
from streamhub.relay.room.people import People
from streamhub.relay.room.tracks import Frame

TICK_S: Final = 0.05
CONNECT_S: Final = 12.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Guest(Protocol):
    """For whom the stay is. All is called in the session's thread; ``now``: seconds of ``time.monotonic``."""

    def wanted(self, now: float) -> set[str]:
        """The tracks to be subscribed to. Raises Failure."""

    def frame(self, frame: Frame) -> None:
        """One has come, of a track that was wanted of late."""

    def lose(self, track: str) -> None:
        """Pictures of that track are missing; a key frame has been asked for."""

    def gone(self, track: str) -> None:
        """It is not subscribed to any more."""

    def key_of(self, now: float) -> str | None:
        """The track of which a key frame is to be asked for now."""

    def tick(self, now: float) -> None:
        """Every ``TICK_S``. Raises av.error.FFmpegError."""


@attrs.define(eq=False)
class Session:
    """``run`` for as long as it lasts. ``alive``: when it was last known to be well."""

    url: str
    token: str = attrs.field(repr=False)
    guest: Guest
    people: People = attrs.field(factory=People)
    patience_s: float = 5.0
    alive: float = attrs.field(factory=time.monotonic)
    _subscribed: set[str] = attrs.field(factory=set)
    _loop: asyncio.AbstractEventLoop | None = None
    _leaving: asyncio.Event = attrs.field(factory=asyncio.Event)
    _left: threading.Event = attrs.field(factory=threading.Event)

    def run(self) -> None:
        """Until ``leave``, or it cannot go on: raises Failure, OSError."""
        if urlsplit(self.url).hostname in _LOOPBACK:
            use_loopback()
        try:
            asyncio.run(self._run())
        finally:
            self._left.set()

    def leave(self, within_s: float) -> None:
        """Say good-bye, from another thread: LiveKit need not wait for us then."""
        if self._loop is not None and not self._left.is_set():
            self._loop.call_soon_threadsafe(self._leaving.set)
            self._left.wait(within_s)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            async with connect(
                signalling.signal_url(self.url),
                additional_headers={"Authorization": f"Bearer {self.token}"},
                open_timeout=self.patience_s,
                max_size=1 << 22,
                ping_interval=None,
                proxy=None,
            ) as socket:
                try:
                    await self._converse(socket)
                finally:
                    await socket.send(signalling.leave())
        except InvalidStatus as exc:
            status = exc.response.status_code
            raise Failure(f"LiveKit answers {status}", "livekit_refused", "Check its version and its keys.") from None
        except ssl.SSLCertVerificationError as exc:
            raise Failure(
                f"LiveKit's certificate is not trusted: {exc.verify_message}",
                "bad_certificate",
                "Give SSL_CERT_FILE with the certificate of its authority to StreamHub.",
            ) from None
        except InvalidHandshake:
            raise Failure("LiveKit does not speak WebSocket there", "livekit_refused", "Check its address.") from None
        except ConnectionClosed:
            raise Failure("LiveKit has closed the connection", "connection_lost", "It is tried again.") from None

    async def _converse(self, socket: ClientConnection) -> None:
        async with asyncio.timeout(self.patience_s):
            joined = signalling.read(await _binary(socket))
        if isinstance(joined, signalling.Left):
            raise joined.failure
        if not isinstance(joined, signalling.Joined):
            raise Failure("LiveKit says nothing of its room", "livekit_refused", "It is tried again.")
        self.people.update(joined.people)

        async def answer(sdp: str, number: int) -> None:
            await socket.send(signalling.answer(sdp, number))

        peer = Peer(joined, self.guest.frame, self.guest.lose, answer)
        try:
            await _first_to_end(
                self._hear(socket, peer),
                peer.run(),
                self._tick(socket, peer),
                self._ping(socket, joined.ping_s),
                self._leaving.wait(),
            )
        finally:
            await peer.close()

    async def _hear(self, socket: ClientConnection, peer: Peer) -> None:
        while True:
            match signalling.read(await _binary(socket)):
                case signalling.Updated(people, gone):
                    self.people.update(people, gone)
                case signalling.Speaking(loudness):
                    self.people.speak(loudness, time.monotonic())
                case signalling.Offered() as offer:
                    peer.offer(offer)
                case signalling.Candidate() as candidate:
                    await peer.candidate(candidate)
                case signalling.Left(failure):
                    raise failure

    async def _ping(self, socket: ClientConnection, every_s: float) -> None:
        while True:
            await socket.send(signalling.ping(round(time.time() * 1000)))
            await asyncio.sleep(every_s)

    async def _tick(self, socket: ClientConnection, peer: Peer) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            if peer.connected or not self._subscribed:
                self.alive = now
            elif now - self.alive > CONNECT_S:
                raise Failure(
                    "LiveKit's media does not come through", "no_media", "Its UDP port must be reachable from here."
                )
            await self._subscribe(socket, self.guest.wanted(now))
            if peer.tracks is not None:
                await peer.tracks.tick(now)
                if (track := self.guest.key_of(now)) is not None:
                    await peer.tracks.ask_key(track)
            self.guest.tick(now)

    async def _subscribe(self, socket: ClientConnection, wanted: set[str]) -> None:
        if gone := self._subscribed - wanted:
            await socket.send(signalling.subscribe(gone, wanted=False))
            for track in gone:
                self.guest.gone(track)
        if new := wanted - self._subscribed:
            await socket.send(signalling.subscribe(new, wanted=True))
            await socket.send(signalling.best_quality(new))
        self._subscribed = wanted


async def _binary(socket: ClientConnection) -> bytes:
    while True:
        message = await socket.recv()
        if isinstance(message, bytes):
            return message


async def _first_to_end(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends; what it raises is raised, the others are cancelled."""
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
