"""MJPEG over HTTP: ``/live/<app>/<room>/mjpeg``. Close-delimited, one part a picture (contract §2, design §7)."""

from __future__ import annotations

import attrs

from streamhub.net.connection import Taken
from streamhub.playback.requests import Playback, answer, answering, interval_of, require_get, split_path
from streamhub.rooms.room import Room
from streamhub.rooms.silent import Silent
from streamhub.wire.http import format_head
from streamhub.wire.multipart import CONTENT_TYPE, OPENING

_HEADERS = (
    ("Content-Type", CONTENT_TYPE),
    ("Cache-Control", "no-store, no-cache, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Connection", "close"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "X-Stream-State"),
    ("X-Accel-Buffering", "no"),
)


@attrs.frozen(eq=False)
class MjpegDoor:
    """Serves MJPEG viewers; each becomes one task of its room."""

    playback: Playback

    async def __call__(self, taken: Taken) -> None:
        """Answer an error, or hand the connection to the room and return."""
        await answering(taken, lambda: self._open(taken))

    async def _open(self, taken: Taken) -> None:
        require_get(taken)
        app, name = split_path(taken.target, "mjpeg")
        interval_s = interval_of(taken.query)
        grant = await self.playback.grant(app, name, taken.query.get("token"))
        if taken.method == "HEAD":
            state, _ = self.playback.hub.shown(grant.room)
            await answer(taken, format_head(200, (*_HEADERS, ("X-Stream-State", state.value))))
            taken.answered = False
            return

        def side(room: Room) -> Silent:
            return Silent(format_head(200, (*_HEADERS, ("X-Stream-State", room.shown[0].value))) + OPENING)

        await self.playback.seat(taken, grant, "mjpeg", side, interval_s)
