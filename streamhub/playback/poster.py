"""The last picture, whatever its age: ``/live/<app>/<room>/poster.jpg``. It says itself that it is not live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.utils import format_datetime

import attrs
import trio

from streamhub.errors import FieldProblem, Invalid
from streamhub.model.clock import iso_ms
from streamhub.net.connection import Taken
from streamhub.playback.placeholder import draw_past
from streamhub.playback.requests import Playback, answer, answering, connection, deadline, require_get, split_path
from streamhub.rooms.posters import Poster
from streamhub.wire.http import format_head

POSTER = "poster.jpg"
MOST_DRAWING = 1


@attrs.define(eq=False)
class Dated:
    """Draws the time into a poster, in a thread; the last drawing is kept, for a crowd that asks for the same."""

    _limiter: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(MOST_DRAWING))
    _last: tuple[Poster, bytes | None] | None = None

    async def __call__(self, poster: Poster) -> bytes | None:
        """None for what cannot be decoded."""
        if self._last is not None and self._last[0] == poster:
            return self._last[1]
        jpeg = await trio.to_thread.run_sync(draw_past, poster.jpeg, poster.taken_at, limiter=self._limiter)
        self._last = poster, jpeg
        return jpeg


@attrs.frozen(eq=False)
class PosterDoor:
    """Answers with the last picture: 200 and a date in picture and headers, or 204 where there was none.

    ``?overlay=0``: as it was taken, for a player that writes the date over it itself.
    """

    playback: Playback
    dated: Callable[[Poster], Awaitable[bytes | None]] = attrs.field(factory=Dated)

    async def __call__(self, taken: Taken) -> None:
        """Answer one request."""
        await answering(taken, lambda: self._answer(taken))

    async def _answer(self, taken: Taken) -> None:
        require_get(taken)
        app, name = split_path(taken.target, POSTER)
        overlay = taken.query.get("overlay", "1")
        if overlay not in ("0", "1"):
            raise Invalid("bad query", fields=[FieldProblem("overlay", f"expected 0 or 1, got {overlay[:20]!r}")])
        grant = await self.playback.grant(app, name, taken.query.get("token"))
        hub = self.playback.hub
        poster, state = hub.poster(grant.room), hub.shown(grant.room)[0]
        headers = [
            ("Cache-Control", "no-store"),
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Expose-Headers", "X-Stream-State, X-Picture-Taken, Last-Modified"),
            ("X-Stream-State", state.value),
            *connection(lasts=taken.keeps_alive),
        ]
        jpeg = None if poster is None else poster.jpeg
        if poster is not None and overlay == "1":
            with deadline():
                jpeg = await self.dated(poster)
        if poster is None or jpeg is None:
            await answer(taken, format_head(204, headers))
            return
        about = [
            ("Content-Type", "image/jpeg"),
            ("Content-Length", str(len(jpeg))),
            ("Last-Modified", format_datetime(poster.taken_at, usegmt=True)),
            ("X-Picture-Taken", iso_ms(poster.taken_at)),
        ]
        head = format_head(200, [*about, *headers])
        await answer(taken, head if taken.method == "HEAD" else head + jpeg)
