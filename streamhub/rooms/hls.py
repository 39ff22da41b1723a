"""A room's HLS: who wants it, what it has, and the seam to whoever makes the segments.

The maker says ``with room.hls.offered():`` for as long as it could make segments, also while its source is being
dialled again. In it, for each of ``room.hls.streams``: ``await wanted()``; ``async with serving() as start:`` have
segments written to ``start.folder`` under ``start.prefix``, ``await feed(…)`` each; ``await unwanted()``; leave.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import trio

from streamhub.errors import StreamHubError
from streamhub.model.clock import WallClock
from streamhub.observe.log import get_logger
from streamhub.rooms.hls_files import HlsFiles, SegmentFile
from streamhub.rooms.hls_readers import HlsReaders
from streamhub.rooms.lease import LEASE_S, Lease
from streamhub.wire.hls import LiveWindow
from streamhub.wire.relay_control import Container, Segment

SEGMENT_S = 1.0
# A window whose newest segment is older is not shown: nobody shall take it for live. Long enough for a camera that is
# dialled again after a minute to find its players still there.
STALE_S = 75.0
# Sequence numbers begin at so many a second since then, more than there are segments: they go on over restarts of ours.
# Those of discontinuities, which are few, at one an hour: hls.js looks through an array of that length at each reload.
_NUMBERS_FROM = datetime(2026, 1, 1, tzinfo=UTC)
_NUMBERS_A_SECOND = 4
_BREAKS_EVERY_S = 3600

log = get_logger("hls")


@attrs.frozen
class HlsStart:
    """What a worker is told: write ``<prefix>_<n>`` into ``folder``; ``segment_s`` is how long a segment should be."""

    folder: Path
    prefix: str
    container: Container
    segment_s: float = SEGMENT_S


@attrs.define(eq=False)
class HlsStream(Lease):
    """A room's HLS in one container, and who wants it."""

    container: Container
    clock: WallClock
    files: HlsFiles | None
    window: LiveWindow = attrs.field(init=False)
    _fed_at: float = -math.inf
    _folder: Path | None = None
    _prefix: str | None = None
    _anew: bool = False
    _failure: StreamHubError | None = None
    _open: dict[str, SegmentFile] = attrs.field(factory=dict)
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    def __attrs_post_init__(self) -> None:
        self.window = LiveWindow(self.container, least_target_s=round(SEGMENT_S))

    # --- who makes it -----------------------------------------------------------------------------------------

    @property
    def served(self) -> bool:
        """Whether somebody is making segments."""
        return self._prefix is not None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[HlsStart]:
        """Make segments for the time of the block. A second maker waits for the first to leave.

        The list goes on where the last maker left it, after a discontinuity. When the block ends and nobody wants HLS,
        all files are removed.
        """
        assert self.files is not None, "this room was opened without a folder for HLS"
        async with self._turn:
            try:
                if self._folder is None:
                    since_s = (self.clock() - _NUMBERS_FROM).total_seconds()
                    breaks = max(int(since_s / _BREAKS_EVERY_S), self.files.breaks + 1)
                    self.window.restart(int(since_s * _NUMBERS_A_SECOND), breaks)
                    self._folder = self.files.root / secrets.token_hex(8)
                try:  # away with what the last maker has left half done
                    await self.files.prepare(self._folder.name, set(self._open))
                except OSError as exc:  # the maker's first segment fails for the same reason, and it says so to viewers
                    log.error(
                        "no folder for HLS", error=str(exc), hint="Check free space and rights of the data folder."
                    )
                self._prefix, self._anew, self._failure = secrets.token_hex(8), True, None
                yield HlsStart(self._folder, self._prefix, self.container)
            finally:
                self._prefix = None
                if not self.is_wanted:
                    await self.clear()

    async def feed(self, segment: Segment) -> None:
        """Put the segment into the list. One that is not of the present maker, or not there, is left out."""
        prefix, folder, files = self._prefix, self._folder, self.files
        if prefix is None or folder is None or files is None:
            return
        if not _is_name(prefix, segment) or segment.name in self._open:
            return
        fresh: list[SegmentFile] = []
        try:
            for name in (segment.init, segment.name):
                if name is not None and name not in self._open:
                    fresh.append(await files.open(folder / name))
        except BaseException as exc:
            self._anew = True
            await files.delete(fresh)
            if not isinstance(exc, OSError):
                raise
            log.warning("a segment cannot be read; it is left out", segment=segment.name, error=str(exc))
            return
        if self._prefix != prefix:
            await files.delete(fresh)
            return
        self._open |= {file.path.name: file for file in fresh}
        dropped = self.window.add(attrs.evolve(segment, first=segment.first or self._anew))
        files.breaks = max(files.breaks, self.window.discontinuity)
        self._anew, self._fed_at = False, trio.current_time()
        self._move()
        await files.delete([self._open.pop(name) for name in dropped if name in self._open])

    def fail(self, error: StreamHubError) -> None:
        """Whoever waits for a first segment is told ``error``, until somebody serves anew."""
        self._failure = error
        self._move()

    async def clear(self) -> None:
        """Forget and remove everything, unless somebody is making segments: then it is done when that one leaves."""
        if self._prefix is not None or self.files is None:
            return
        files, self._open = list(self._open.values()), {}
        folder, self._folder = self._folder, None
        self.window.restart()
        self._fed_at, self._failure = -math.inf, None
        if folder is not None:
            await self.files.delete(files, folder)

    # --- who serves it ----------------------------------------------------------------------------------------

    @property
    def playable(self) -> bool:
        """Whether there is a list to show."""
        return bool(self.window.listed) and trio.current_time() < self._fed_at + STALE_S

    async def ready(self) -> None:
        """Return when there is a list to show. Raises what the maker failed with; waits for ever otherwise."""
        while not self.playable:
            if self._failure is not None:
                raise self._failure
            await self._moved.wait()

    def file(self, name: str) -> SegmentFile | None:
        """The open file of a segment or initialisation that may be asked for."""
        return self._open.get(name)


@attrs.define(eq=False)
class RoomHls:
    """The HLS of a room, in each container. ``changed`` is called when it can be had, or not any more."""

    clock: WallClock
    files: HlsFiles | None = None
    changed: Callable[[], None] = lambda: None
    readers: HlsReaders = attrs.field(factory=lambda: HlsReaders(LEASE_S))
    streams: dict[Container, HlsStream] = attrs.field(init=False)
    # What LiveKit's egress service makes of the room instead of us.
    elsewhere: list[Lease] = attrs.field(factory=list, init=False)
    _offers: int = 0
    _spares: int = 0
    _moved: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        self.streams = {
            "fmp4": HlsStream("fmp4", self.clock, self.files),
            "ts": HlsStream("ts", self.clock, self.files),
        }

    @property
    def is_offered(self) -> bool:
        """Whether somebody could make segments."""
        return self._offers > 0 or self._spares > 0

    @contextmanager
    def offered(self, *, spare: bool = False) -> Iterator[None]:
        """Say, for the time of the block, that segments can be had. ``spare``: by one who leaves it to any other."""
        self._offer(1, spare=spare)
        try:
            yield
        finally:
            self._offer(-1, spare=spare)

    async def offered_by_others(self, others: bool) -> None:
        """Return once somebody who is not spare makes that offer, or nobody does."""
        while (self._offers > 0) != others:
            await self._moved.wait()

    def _offer(self, by: int, *, spare: bool) -> None:
        before = self.is_offered
        if spare:
            self._spares += by
        else:
            self._offers += by
        self._moved.set()
        self._moved = trio.Event()
        if self.is_offered != before:
            self.changed()

    def file(self, name: str) -> tuple[HlsStream, SegmentFile] | None:
        """The file of that name, and whose it is."""
        for stream in self.streams.values():
            if (found := stream.file(name)) is not None:
                return stream, found
        return None

    def end(self) -> None:
        """Nobody may have it any more: orders and leases end."""
        for lease in (*self.streams.values(), *self.elsewhere):
            lease.let_go(at_once=True)


def _is_name(prefix: str, segment: Segment) -> bool:
    name = re.fullmatch(rf"{prefix}_\d+\.(m4s|ts)", segment.name)
    return name is not None and (
        segment.init is None or re.fullmatch(rf"{prefix}_init_\d+\.mp4", segment.init) is not None
    )
