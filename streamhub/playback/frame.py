"""One picture: ``/live/<app>/<room>/frame.jpg``. 200 only for a live one (contract §3, design §7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from weakref import WeakKeyDictionary

import attrs
import trio

from streamhub.errors import FieldProblem, Invalid, StreamHubError
from streamhub.model.names import RoomKey
from streamhub.model.streams import State
from streamhub.net.connection import Taken
from streamhub.net.kept import QuickDoor, Sending
from streamhub.playback.requests import Playback, answer, answering, connection, deadline, require_get, split_path
from streamhub.rooms.room import MakePlaceholder, Room
from streamhub.wire.http import format_head, matches

RETRY_AFTER_S = 5
FEED_WAIT_S = 5.0


@attrs.frozen
class _Made:
    """An answer, and what it is ``of``: another picture, state or kind of connection needs another."""

    of: tuple[object, ...]
    etag: str
    headers: tuple[tuple[str, str], ...]
    head: bytes
    whole: bytes


@attrs.frozen(eq=False)
class FrameDoor(QuickDoor):
    """Answers snapshots, many on one kept-alive connection."""

    playback: Playback
    placeholder: MakePlaceholder
    last_seen: Callable[[RoomKey], Awaitable[datetime | None]]
    _made: WeakKeyDictionary[Room, _Made] = attrs.field(factory=WeakKeyDictionary)

    async def __call__(self, taken: Taken) -> None:
        """Answer one request."""
        await answering(taken, lambda: self._answer(taken))

    def at_once(self, taken: Taken) -> Sending | None:
        """The room's picture, if it has one as new as asked for."""
        try:
            require_get(taken)
            app, name = split_path(taken.target, "frame.jpg")
            max_age_s = _max_age(taken.query)
            grant = self.playback.grant_at_once(app, name, taken.query.get("token"))
        except StreamHubError:
            return None
        room = None if grant is None else self.playback.hub.get(grant.room)
        taken_at = None if room is None else room.pictured_at
        if room is None or taken_at is None or not _fresh(room, taken_at, max_age_s):
            return None
        if _may_come(room):
            room.poll()
        return Sending(self._picture(taken, room, taken_at, lasts=True))

    async def _answer(self, taken: Taken) -> None:
        require_get(taken)
        app, name = split_path(taken.target, "frame.jpg")
        max_age_s = _max_age(taken.query)
        grant = await self.playback.grant(app, name, taken.query.get("token"))
        room = self.playback.hub.get(grant.room)
        if room is not None and _may_come(room):
            room.poll()
            with trio.move_on_after(FEED_WAIT_S):  # its decoder, or even its source, may have to start
                while room.pictured_at is None and _may_come(room):
                    await room.latest.wait_newer(room.latest.seq)
        taken_at = None if room is None else room.pictured_at
        if room is None or taken_at is None or not _fresh(room, taken_at, max_age_s):
            await answer(taken, await self._offline(taken, grant.room, room))
            return
        await answer(taken, self._picture(taken, room, taken_at, lasts=taken.keeps_alive))

    def _picture(self, taken: Taken, room: Room, taken_at: datetime, *, lasts: bool) -> bytes:
        """The answer that is the room's picture. ``lasts``: the connection goes on after it."""
        made = self._make(room, taken_at, lasts=lasts)
        if _not_modified(taken, made.etag, taken_at):
            return format_head(304, made.headers)
        return made.head if taken.method == "HEAD" else made.whole

    def _make(self, room: Room, taken_at: datetime, *, lasts: bool) -> _Made:
        """The answer for the room's picture; made once, however many ask for it."""
        source, shown = room.session or room.feed, room.shown[0]
        assert source is not None
        of = (room.latest.seq, source.started_at, taken_at, shown, lasts)
        made = self._made.get(room)
        if made is None or made.of != of:
            etag = f'"{int(source.started_at.timestamp() * 1000):x}-{room.latest.seq:x}"'
            headers = (
                ("Cache-Control", "no-store, no-cache, must-revalidate"),
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Expose-Headers", "X-Stream-State, ETag, Last-Modified"),
                ("X-Stream-State", shown.value),
                ("ETag", etag),
                ("Last-Modified", format_datetime(taken_at, usegmt=True)),
                *connection(lasts=lasts),
            )
            jpeg = room.latest.jpeg
            head = format_head(200, [("Content-Type", "image/jpeg"), ("Content-Length", str(len(jpeg))), *headers])
            made = self._made[room] = _Made(of, etag, headers, head, head + jpeg)
        return made

    async def _offline(self, taken: Taken, key: RoomKey, room: Room | None) -> bytes:
        state, since = self.playback.hub.shown(key)
        with deadline():
            if since is None and room is None:
                since = await self.last_seen(key)
            shown = state
            if room is not None and (taken_at := room.pictured_at) is not None:
                # Older than asked for: the picture says since when there is none.
                shown, since = State.STALE, taken_at
            jpeg = await self.placeholder(key, shown, since, None)
        head = format_head(
            503,
            [
                ("Content-Type", "image/jpeg"),
                ("Content-Length", str(len(jpeg))),
                ("Cache-Control", "no-store"),
                ("Retry-After", str(RETRY_AFTER_S)),
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Expose-Headers", "X-Stream-State"),
                ("X-Stream-State", state.value),
                *connection(lasts=taken.keeps_alive),
            ],
        )
        return head if taken.method == "HEAD" else head + jpeg


def _may_come(room: Room) -> bool:
    """Whether asking makes a picture come."""
    return room.feed is not None or (room.wakers > 0 and room.session is None)


def _fresh(room: Room, taken_at: datetime, max_age_s: float | None) -> bool:
    """Whether the room's picture is no older than asked for."""
    return max_age_s is None or (room.clock() - taken_at).total_seconds() <= max_age_s


def _max_age(query: dict[str, str]) -> float | None:
    text = query.get("max_age", "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86_400.0:
        raise Invalid("bad query", fields=[FieldProblem("max_age", f"expected seconds, 0 to 86400, got {text[:20]!r}")])
    return seconds


def _not_modified(taken: Taken, etag: str, taken_at: datetime) -> bool:
    """Conditional requests, RFC 9110 §13.1: If-None-Match wins over If-Modified-Since."""
    if (match := taken.header(b"if-none-match")) is not None:
        return matches(etag, match)
    # Last-Modified has whole seconds; a camera has many pictures in one: only the entity tag can tell them apart.
    since = taken.header(b"if-modified-since")
    if since is None:
        return False
    try:
        return taken_at <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False
