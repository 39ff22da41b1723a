"""HLS: ``/hls/<app>/<room>/index.m3u8`` and the segments it lists (contract §5, design §7)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote, urlencode
from weakref import WeakKeyDictionary

import attrs
import trio

from streamhub.errors import FieldProblem, Invalid, NotFound, StreamHubError, Unavailable
from streamhub.model.access import ViewGrant
from streamhub.model.names import RoomKey
from streamhub.net.connection import Taken
from streamhub.net.kept import ANSWER_DEADLINE_S, SEND_BYTES, STALLED_S, QuickDoor, Sending
from streamhub.playback.requests import MOST_SPLIT, Playback, answer, answering, connection, require_get
from streamhub.rooms.hls import HlsStream
from streamhub.rooms.hls_files import SegmentFile
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.wire.hls import PLAYLIST_TYPE
from streamhub.wire.http import format_head, matches, parse_range
from streamhub.wire.relay_control import Container

PLAYLIST = "index.m3u8"
# A cold playlist is held so long for its first segment.
COLD_S = 10.0
COLD_RETRY_AFTER_S = 2
# Playlists kept of one state of a stream: a private one differs by token.
MOST_LISTS = 1_000
Locate: TypeAlias = Callable[[RoomKey], Awaitable[str | None]]
_CONTAINERS: dict[str, Container] = {"": "fmp4", "fmp4": "fmp4", "ts": "ts"}
_TYPES = {".m4s": "video/mp4", ".mp4": "video/mp4", ".ts": "video/mp2t"}
_CONDITIONS = frozenset({b"if-none-match", b"range"})
_CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Content-Length, Content-Range, ETag"),
)
_PREFLIGHT = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "*"),
    ("Access-Control-Max-Age", "86400"),
)


@attrs.frozen(eq=False)
class _Lists:
    """Playlists made of one state of a window (``of`` its ``changes``), by query, privacy and what the connection does.

    Each is its entity tag, its headers, and the whole answer, whose first ``int`` bytes are the head.
    """

    of: int
    made: dict[tuple[str, bool, bool], tuple[str, list[tuple[str, str]], bytes, int]] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class HlsDoor(QuickDoor):
    """Answers playlists and segments, many on one kept-alive connection; every request is asked for its right."""

    playback: Playback
    leases: HlsLeases
    # Who else makes HLS: waits until there is a room's playlist, and returns its URL; None: that room's is ours.
    elsewhere: Locate | None = None
    _lists: WeakKeyDictionary[HlsStream, _Lists] = attrs.field(factory=WeakKeyDictionary, init=False)
    # Of whole segments, and whether they are private; for connections that go on.
    _heads: WeakKeyDictionary[SegmentFile, tuple[bool, bytes]] = attrs.field(factory=WeakKeyDictionary, init=False)

    async def __call__(self, taken: Taken) -> None:
        """Answer one request."""
        await answering(taken, lambda: self._answer(taken))

    def at_once(self, taken: Taken) -> Sending | None:
        """A playlist or segment of a stream that runs."""
        if taken.method not in ("GET", "HEAD"):
            return None
        token = taken.query.get("token")
        try:
            app, room, name = _split(taken.target)
            grant = self.playback.grant_at_once(app, room, token)
        except StreamHubError:
            return None
        if grant is None or (found := self.playback.hub.get(grant.room)) is None:
            return None
        if name != PLAYLIST:
            segment = found.hls.file(name)
            if segment is None or not self.leases.extend_at_once(segment[0]):
                return None
            return self._part(taken, grant, segment[1], lasts=True)
        container = _CONTAINERS.get(taken.query.get("container", ""))
        if container is None or self.elsewhere is not None:
            return None
        stream = found.hls.streams[container]
        if not stream.playable or not self.leases.extend_at_once(stream):
            return None
        return Sending(self._list(taken, grant, stream, token, lasts=True))

    async def _answer(self, taken: Taken) -> None:
        if taken.method == "OPTIONS":
            await answer(taken, format_head(204, (*_PREFLIGHT, *connection(lasts=taken.keeps_alive))))
            return
        require_get(taken)
        app, room, name = _split(taken.target)
        token = taken.query.get("token")
        grant = await self.playback.grant(app, room, token)
        if name == PLAYLIST:
            await self._playlist(taken, grant, token)
        else:
            await self._segment(taken, grant, name)

    async def _playlist(self, taken: Taken, grant: ViewGrant, token: str | None) -> None:
        container = _CONTAINERS.get(asked := taken.query.get("container", ""))
        if container is None:
            raise Invalid(
                "bad query", fields=[FieldProblem("container", f"expected 'fmp4' or 'ts', got {asked[:20]!r}")]
            )
        if self.elsewhere is not None:
            with _cold(grant):
                where = await self.elsewhere(grant.room)
            if where is not None:
                await _redirect(taken, where)
                return
        stream = await self.leases.want(grant.room, container)
        with _cold(grant):
            await stream.ready()
        await answer(taken, self._list(taken, grant, stream, token, lasts=taken.keeps_alive))

    def _list(self, taken: Taken, grant: ViewGrant, stream: HlsStream, token: str | None, *, lasts: bool) -> bytes:
        """The answer that is the stream's playlist; who asked is counted."""
        if taken.method == "GET":
            self.leases.count(grant.room, taken.peer.ip, taken.header(b"user-agent") or "", token)
        query = "?" + urlencode({"token": token}) if grant.private and token else ""
        etag, headers, whole, head = self._made(stream, query, grant.private, lasts)
        if (match := taken.header(b"if-none-match")) is not None and matches(etag, match):
            return format_head(304, headers)
        return whole[:head] if taken.method == "HEAD" else whole

    def _made(
        self, stream: HlsStream, query: str, private: bool, lasts: bool
    ) -> tuple[str, list[tuple[str, str]], bytes, int]:
        """A playlist as ``_Lists`` has it, made once, however many ask for it."""
        lists = self._lists.get(stream)
        if lists is None or lists.of != stream.window.changes:
            lists = self._lists[stream] = _Lists(stream.window.changes)
        made = lists.made.get((query, private, lasts))
        if made is None:
            body = stream.window.playlist(query).encode()
            etag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
            headers = [
                ("Cache-Control", "private, no-store" if private else "public, max-age=1"),
                ("ETag", etag),
                *_CORS,
                *connection(lasts=lasts),
            ]
            head = format_head(200, [("Content-Type", PLAYLIST_TYPE), ("Content-Length", str(len(body))), *headers])
            made = etag, headers, head + body, len(head)
            if len(lists.made) < MOST_LISTS:
                lists.made[query, private, lasts] = made
        return made

    async def _segment(self, taken: Taken, grant: ViewGrant, name: str) -> None:
        room = self.playback.hub.get(grant.room)
        found = None if room is None else room.hls.file(name)
        if found is None:
            raise NotFound(
                "there is no such segment", code="segment_gone", hint="Read index.m3u8 again: a live list moves on."
            )
        stream, file = found
        await self.leases.extend(grant.room, stream)
        sending = self._part(taken, grant, file, lasts=taken.keeps_alive)
        if sending.file is None:
            await answer(taken, sending.head)
        else:
            await _send_file(taken, sending.head, file, sending.start, sending.end)

    def _part(self, taken: Taken, grant: ViewGrant, file: SegmentFile, *, lasts: bool) -> Sending:
        """The answer that is the segment, or the part of it that was asked for."""
        plain = lasts and taken.method == "GET" and not taken.has_any(_CONDITIONS)
        if plain and (known := self._heads.get(file)) is not None and known[0] == grant.private:
            return Sending(known[1], file, 0, file.size)
        etag = f'"{file.path.name}"'  # a name is never used twice
        headers = [
            ("Cache-Control", "private, no-store" if grant.private else "public, max-age=31536000, immutable"),
            ("ETag", etag),
            ("Accept-Ranges", "bytes"),
            *_CORS,
            *connection(lasts=lasts),
        ]
        if (match := taken.header(b"if-none-match")) is not None and matches(etag, match):
            return Sending(format_head(304, headers))
        status, start, length = 200, 0, file.size
        about = [("Content-Type", _TYPES[file.path.suffix])]
        if (asked := taken.header(b"range")) is not None and taken.header(b"if-range") in (None, etag):
            try:
                part = parse_range(asked, file.size)
            except ValueError:
                about = [("Content-Range", f"bytes */{file.size}"), ("Content-Length", "0")]
                return Sending(format_head(416, [*about, *headers]))
            if part is not None:
                status, (start, length) = 206, part
                about.append(("Content-Range", f"bytes {start}-{start + length - 1}/{file.size}"))
        head = format_head(status, [*about, ("Content-Length", str(length)), *headers])
        if plain:
            self._heads[file] = grant.private, head
        return Sending(head) if taken.method == "HEAD" else Sending(head, file, start, start + length)


@contextmanager
def _cold(grant: ViewGrant) -> Iterator[None]:
    """In it, wait for something to play. Raises Unavailable after ``COLD_S``."""
    try:
        with trio.fail_after(COLD_S):
            yield
    except trio.TooSlowError:
        raise Unavailable(
            f"HLS of room '{grant.room.room}' has no first segment yet",
            code="hls_starting",
            hint="Try again in a moment. A source with few key frames takes as long as from one to the next.",
            retry_after_s=COLD_RETRY_AFTER_S,
        ) from None


async def _redirect(taken: Taken, where: str) -> None:
    """Send the player to where the playlist is; it shall ask here again each time, for we see so that it watches."""
    about = [("Location", where), ("Content-Length", "0"), ("Cache-Control", "private, no-store")]
    await answer(taken, format_head(307, [*about, *_CORS, *connection(lasts=taken.keeps_alive)]))


async def _send_file(taken: Taken, head: bytes, file: SegmentFile, at: int, end: int) -> None:
    """Send the head and the file's bytes from ``at`` to ``end``. Raises TooSlowError, or what the connection does."""
    with file.opened() as fd, trio.fail_after(ANSWER_DEADLINE_S):
        await taken.stream.send_all(head)
        while at < end:
            with trio.fail_after(STALLED_S):
                sent = await _send_some(taken.stream, fd, at, min(SEND_BYTES, end - at))
            if not sent:
                raise trio.BrokenResourceError("the segment's file was cut")
            at += sent
    await answer(taken, b"")


async def _send_some(stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], fd: int, at: int, most: int) -> int:
    """Send some of the file, and return how much."""
    if not isinstance(stream, trio.SocketStream):
        data = await trio.to_thread.run_sync(os.pread, fd, most, at)
        await stream.send_all(data)
        return len(data)
    await trio.lowlevel.checkpoint()
    while True:
        try:
            return os.sendfile(stream.socket.fileno(), fd, at, most)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(stream.socket)


@lru_cache(MOST_SPLIT)
def _split(target: bytes) -> tuple[str, str, str]:
    """App, room and file, percent-decoded, of ``/hls/<app>/<room>/<file>``; raises NotFound for any other shape."""
    parts = target.partition(b"?")[0].decode("ascii").split("/")
    if len(parts) != 5 or not all(parts[1:]):
        raise NotFound("no such path", hint="HLS is at /hls/<app>/<room>/index.m3u8.")
    return unquote(parts[2]), unquote(parts[3]), unquote(parts[4])
