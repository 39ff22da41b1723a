"""A livekit-server that somebody else runs: is it there, are our keys right, which version is it?"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

import attrs
import trio
from livekit.protocol import rtc
from trio_websocket import ConnectionClosed, HandshakeError, wrap_client_stream

from streamhub.errors import StreamHubError
from streamhub.livekit.client import LiveKitClient
from streamhub.livekit.server import LiveKit
from streamhub.livekit.session import DEADLINE_S, connect
from streamhub.livekit.tokens import JoinGrant, mint_join_token
from streamhub.observe.log import get_logger

LOOK_S = 5.0
# Not a name that any app's prefix can match.
PROBE_ROOM = "$streamhub-version"
SIGNAL_PROTOCOL = 9
PROBE_TTL_S = 600

log = get_logger("livekit")


@attrs.define(eq=False)
class ExternalServer:
    """Keeps ``livekit`` true to what the server at ``url`` is: of several (by comma), one that answers.

    It stays with that one as long as it answers. All must be nodes of one LiveKit: with the same keys and Redis.
    """

    livekit: LiveKit
    url: str
    _urls: tuple[str, ...] = attrs.field(init=False)
    _client: LiveKitClient = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._urls = tuple(_http(url) for url in self.url.split(","))
        self.url = self._urls[0]
        self._client = LiveKitClient(lambda: self.url, self.livekit.keys, self.livekit.session)

    async def run(self) -> None:
        """Look after it until cancelled."""
        known: bool | None = None
        while True:
            before = self.url
            try:
                await self._find()
                if known is not True or self.url != before:
                    version = await self._version()
                    self.livekit.set_ready(self.url, version)
                    log.info("livekit-server is ready", url=self.url, version=version or "unknown")
                    if not self.livekit.takes_whip:
                        log.warning(
                            "livekit-server is too old for WHIP and relays", version=version, hint="upgrade it to 1.9.1"
                        )
                known = True
            except StreamHubError as exc:
                self.livekit.set_down(exc.message, exc.hint)
                if known is not False:
                    log.warning("livekit-server is down", url=self.url, error=exc.message, hint=exc.hint)
                known = False
            await trio.sleep(LOOK_S)

    async def stop(self) -> None:
        """It is not ours to stop."""

    async def _find(self) -> None:
        """Make ``url`` one that answers, the present one if it does. Raises why that does not, if no other does."""
        present, failure = self.url, None
        for url in (present, *(url for url in self._urls if url != present)):
            self.url = url
            try:
                # Asks for the keys too, which a mere page of it would not.
                await self._client.rooms([PROBE_ROOM])
            except StreamHubError as exc:
                failure = failure or exc
            else:
                if failure is not None:
                    log.warning("livekit-server is down; another is used", url=present, error=failure.message)
                return
        self.url = present
        assert failure is not None
        raise failure

    async def _version(self) -> str | None:
        """Its version, which it tells only those who join; None if it does not tell."""
        try:
            with trio.move_on_after(DEADLINE_S):
                return await self._join()
        except (OSError, HandshakeError, ConnectionClosed, trio.BrokenResourceError, ValueError) as exc:
            log.debug("livekit-server does not tell its version", error=str(exc) or type(exc).__name__)
        return None

    async def _join(self) -> str | None:
        """Join a room of our own as nobody, unseen; read the first message; remove the room."""
        grant = JoinGrant(room=PROBE_ROOM, identity="streamhub", hidden=True)
        token = mint_join_token(self.livekit.keys, grant, datetime.now(UTC), PROBE_TTL_S)
        query = urlencode({"access_token": token, "protocol": SIGNAL_PROTOCOL, "auto_subscribe": 0})
        stream = await connect(self.url, self.livekit.session.tls)
        try:
            async with trio.open_nursery() as nursery:
                host = urlsplit(self.url).netloc
                socket = await wrap_client_stream(nursery, stream, host, f"/rtc?{query}")
                message = await socket.get_message()
                nursery.cancel_scope.cancel()
        except* (OSError, HandshakeError, ConnectionClosed, trio.BrokenResourceError) as group:
            raise OSError(str(group.exceptions[0])) from None
        finally:
            await trio.aclose_forcefully(stream)
        try:
            await self._client.delete_room(PROBE_ROOM)
        except StreamHubError as exc:
            log.debug("the room asked for the version stays for a while", error=exc.message)
        answer = rtc.SignalResponse.FromString(message if isinstance(message, bytes) else message.encode())
        return answer.join.server_info.version or answer.join.server_version or None


def _http(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme.replace('ws', 'http')}://{rest}"
