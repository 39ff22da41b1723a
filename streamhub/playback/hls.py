"""HLS: ``/hls/<app>/<room>/index.m3u8`` and the segments it lists (contract §5, design §7)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias
from urllib.parse import unquote, urlencode

import attrs
import trio

from streamhub.errors import FieldProblem, Invalid, NotFound, Unavailable
from streamhub.model.access import ViewGrant
from streamhub.model.names import RoomKey
from streamhub.net.connection import Taken
from streamhub.playback.requests import Playback, answer, answering, connection, require_get
from streamhub.rooms.hls_files import SegmentFile
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.wire.hls import PLAYLIST_TYPE
from streamhub.wire.http import format_head, matches, parse_range
from streamhub.wire.relay_control import Container

PLAYLIST = "index.m3u8"
# A cold playlist is held so long for its first segment.
COLD_S = 10.0
COLD_RETRY_AFTER_S = 2
# A reader of a segment that takes nothing for so long is gone, and so is one that is not through after so long.
STALLED_S = 30.0
SEGMENT_DEADLINE_S = 300.0
SEND_BYTES = 512 * 1024
Locate: TypeAlias = Callable[[RoomKey], Awaitable[str | None]]
_CONTAINERS: dict[str, Container] = {"": "fmp4", "fmp4": "fmp4", "ts": "ts"}
_TYPES = {".m4s": "video/mp4", ".mp4": "video/mp4", ".ts": "video/mp2t"}
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
class HlsDoor:
    """Answers playlists and segments, many on one kept-alive connection; every request is asked for its right."""

    playback: Playback
    leases: HlsLeases
    # Who else makes HLS: waits until there is a room's playlist, and returns its URL; None: that room's is ours.
    elsewhere: Locate | None = None

    async def __call__(self, taken: Taken) -> None:
        """Answer one request."""
        await answering(taken, lambda: self._answer(taken))

    async def _answer(self, taken: Taken) -> None:
        if taken.method == "OPTIONS":
            await answer(taken, format_head(204, (*_PREFLIGHT, *connection(taken))))
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
        if taken.method == "GET":
            self.leases.count(grant.room, taken.peer.ip, taken.header(b"user-agent") or "", token)
        query = "?" + urlencode({"token": token}) if grant.private and token else ""
        body = stream.window.playlist(query).encode()
        etag = f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"'
        headers = [
            ("Cache-Control", "private, no-store" if grant.private else "public, max-age=1"),
            ("ETag", etag),
            *_CORS,
            *connection(taken),
        ]
        if (match := taken.header(b"if-none-match")) is not None and matches(etag, match):
            await answer(taken, format_head(304, headers))
            return
        about = [("Content-Type", PLAYLIST_TYPE), ("Content-Length", str(len(body)))]
        head = format_head(200, [*about, *headers])
        await answer(taken, head if taken.method == "HEAD" else head + body)

    async def _segment(self, taken: Taken, grant: ViewGrant, name: str) -> None:
        room = self.playback.hub.get(grant.room)
        found = None if room is None else room.hls.file(name)
        if found is None:
            raise NotFound(
                "there is no such segment", code="segment_gone", hint="Read index.m3u8 again: a live list moves on."
            )
        stream, file = found
        await self.leases.extend(grant.room, stream)
        etag = f'"{name}"'  # a name is never used twice
        headers = [
            ("Cache-Control", "private, no-store" if grant.private else "public, max-age=31536000, immutable"),
            ("ETag", etag),
            ("Accept-Ranges", "bytes"),
            *_CORS,
            *connection(taken),
        ]
        if (match := taken.header(b"if-none-match")) is not None and matches(etag, match):
            await answer(taken, format_head(304, headers))
            return
        status, start, length = 200, 0, file.size
        about = [("Content-Type", _TYPES[file.path.suffix])]
        if (asked := taken.header(b"range")) is not None and taken.header(b"if-range") in (None, etag):
            try:
                part = parse_range(asked, file.size)
            except ValueError:
                about = [("Content-Range", f"bytes */{file.size}"), ("Content-Length", "0")]
                await answer(taken, format_head(416, [*about, *headers]))
                return
            if part is not None:
                status, (start, length) = 206, part
                about.append(("Content-Range", f"bytes {start}-{start + length - 1}/{file.size}"))
        head = format_head(status, [*about, ("Content-Length", str(length)), *headers])
        if taken.method == "HEAD":
            await answer(taken, head)
        else:
            await _send_file(taken, head, file, start, start + length)


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
    await answer(taken, format_head(307, [*about, *_CORS, *connection(taken)]))


async def _send_file(taken: Taken, head: bytes, file: SegmentFile, at: int, end: int) -> None:
    """Send the head and the file's bytes from ``at`` to ``end``. Raises TooSlowError, or what the connection does."""
    with file.opened() as fd, trio.fail_after(SEGMENT_DEADLINE_S):
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


def _split(target: bytes) -> tuple[str, str, str]:
    """App, room and file, percent-decoded, of ``/hls/<app>/<room>/<file>``; raises NotFound for any other shape."""
    parts = target.partition(b"?")[0].decode("ascii").split("/")
    if len(parts) != 5 or not all(parts[1:]):
        raise NotFound("no such path", hint="HLS is at /hls/<app>/<room>/index.m3u8.")
    return unquote(parts[2]), unquote(parts[3]), unquote(parts[4])
