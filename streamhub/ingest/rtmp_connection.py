"""One encoder's connection: the session of ``wire.rtmp`` fed from a socket, with a deadline for every wait."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import trio

from streamhub.net.connection import DoorWire
from streamhub.wire.rtmp.publish import Event, PublishSession

READ_BYTES = 64 * 1024
SILENCE_S = 8.0  # then the encoder is taken for gone: encoders that have a picture send several times a second
SEND_S = 8.0
LAST_WORDS_S = 1.0
LINGER_BYTES = 4 * 1024 * 1024


class Silent(Exception):
    """Nothing has come for SILENCE_S."""


@attrs.define(eq=False)
class RtmpConnection:
    """Events one by one; what the session has to say goes out before the next wait."""

    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]
    session: PublishSession = attrs.field(factory=PublishSession)
    received: int = 0  # bytes
    _events: Iterator[Event] = attrs.field(factory=lambda: iter(()))

    async def next(self) -> Event | None:
        """The next event, None at the connection's end.

        Raises RtmpError, Silent, trio.TooSlowError (the encoder does not read) and what the stream raises.
        """
        while True:
            event = next(self._events, None)
            if event is not None:
                return event
            await self.flush()
            with trio.move_on_after(SILENCE_S) as waiting:
                data = bytes(await self.stream.receive_some(READ_BYTES))
            if waiting.cancelled_caught:
                raise Silent
            if not data:
                return None
            self.received += len(data)
            self._events = self.session.receive(data)

    async def flush(self) -> None:
        """Send what the session has to say."""
        data = self.session.bytes_to_send()
        if data:
            with trio.fail_after(SEND_S):
                await self.stream.send_all(data)

    async def hang_up(self) -> None:
        """Send the last words, and read on for a moment so that they arrive: takes at most twice LAST_WORDS_S."""
        wire = DoorWire(self.stream)
        await wire.send_last(self.session.bytes_to_send(), LAST_WORDS_S)
        await wire.linger(LAST_WORDS_S, LINGER_BYTES)
