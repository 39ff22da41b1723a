"""HLS, sans-IO: which segments a live playlist lists, which files must stay, and the playlist's text (RFC 8216).

Low-Latency HLS comes in here: parts are a list of ``Listed``, told by further lines of ``playlist``; who waits for a
part waits for a change of the window, as who waits for the first segment does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import attrs

from streamhub.model.clock import iso_ms
from streamhub.wire.relay_control import Container, Segment

# So much is listed at least, in segments and in seconds: who reads slowly for a moment still finds the next one.
LISTED = 6
LISTED_S = 12.0
MOST_BYTES = 128 * 1024 * 1024
# RFC 8216 §6.2.2: what is listed may not get shorter than three target durations.
LEAST_TARGETS = 3
LEAST_DURATION_S = 0.001
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
# RFC 8216 §7: EXTINF with a fraction needs 3, EXT-X-MAP 6; Apple's authoring rules ask 7 for fMP4.
_VERSIONS: dict[Container, int] = {"fmp4": 7, "ts": 3}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen
class Listed:
    """A segment with its place: Media Sequence Number and Discontinuity Sequence Number (RFC 8216 §3)."""

    segment: Segment
    sequence: int
    discontinuity: int
    breaks: bool  # EXT-X-DISCONTINUITY comes before it


@attrs.frozen
class _Spare:
    segment: Segment
    until_s: float  # on the window's own clock, the sum of all durations


@attrs.define
class LiveWindow:
    """The live end of a stream. ``sequence`` and ``discontinuity`` are the numbers of its first segment.

    ``target_s`` only grows, from ``least_target_s``, the usual length of a segment; ``most_bytes`` comes before every
    other rule, but one segment always stays. ``changes`` tells one state from the next.
    """

    container: Container
    sequence: int = 0
    discontinuity: int = 0
    size: int = LISTED
    size_s: float = LISTED_S
    most_bytes: int = MOST_BYTES
    least_target_s: int = 1
    target_s: int = attrs.field(init=False)
    changes: int = attrs.field(default=0, init=False)
    listed: deque[Listed] = attrs.field(factory=deque)
    _spare: deque[_Spare] = attrs.field(factory=deque)
    _added_s: float = 0.0
    _longest_s: float = 0.0
    _begun: bool = False

    def __attrs_post_init__(self) -> None:
        self.target_s = self.least_target_s

    def add(self, segment: Segment) -> set[str]:
        """Append a segment; returns the names of files that nobody may ask for any more, initialisations included."""
        before = self.names()
        self.changes += 1
        # As it will be read: five digits, which may round up over a half.
        segment = attrs.evolve(segment, duration_s=max(LEAST_DURATION_S, round(segment.duration_s, 5)))
        breaks = segment.first and self._begun
        self.discontinuity += breaks
        self.listed.append(Listed(segment, self.sequence, self.discontinuity, breaks))
        self.sequence += 1
        self._begun = True
        self._added_s += segment.duration_s
        self.target_s = max(self.target_s, int(segment.duration_s + 0.5))
        self._trim()
        return (before | {segment.name, segment.init or segment.name}) - self.names()

    def names(self) -> set[str]:
        """The files that must be there: of the listed segments, and of those that left the list lately."""
        kept = [*(one.segment for one in self.listed), *(one.segment for one in self._spare)]
        return {s.name for s in kept} | {s.init for s in kept if s.init}

    def restart(self, sequence: int = 0, discontinuity: int = 0) -> None:
        """Forget every segment. The numbers go on from these, and are never below what they have been."""
        self.changes += 1
        self.listed.clear()
        self._spare.clear()
        self.sequence = max(self.sequence, sequence)
        # One more than the last that was told, or a client would take the new pictures for the old ones' successors.
        self.discontinuity = max(self.discontinuity + self._begun, discontinuity)
        self.target_s, self._longest_s, self._begun = self.least_target_s, 0.0, False

    def playlist(self, query: str = "") -> str:
        """The media playlist; ``query`` (``?token=…``, encoded) is put behind every URI in it."""
        return "\n".join(self._lines(query)) + "\n"

    def _lines(self, query: str) -> Iterator[str]:
        yield "#EXTM3U"
        yield f"#EXT-X-VERSION:{_VERSIONS[self.container]}"
        yield f"#EXT-X-TARGETDURATION:{self.target_s}"
        if self.listed:
            first = self.listed[0]
            yield f"#EXT-X-MEDIA-SEQUENCE:{first.sequence}"
            # Its own EXT-X-DISCONTINUITY still stands before it, and counts when it is removed.
            yield f"#EXT-X-DISCONTINUITY-SEQUENCE:{first.discontinuity - first.breaks}"
        yield "#EXT-X-INDEPENDENT-SEGMENTS"
        init = None
        for one in self.listed:
            if one.breaks:
                yield "#EXT-X-DISCONTINUITY"
            if one.segment.init and one.segment.init != init:
                init = one.segment.init
                yield f'#EXT-X-MAP:URI="{init}{query}"'
            yield f"#EXT-X-PROGRAM-DATE-TIME:{iso_ms(_EPOCH + timedelta(milliseconds=one.segment.at_ms))}"
            yield f"#EXTINF:{one.segment.duration_s:.5f},"
            yield f"{one.segment.name}{query}"

    def _trim(self) -> None:
        total_s = sum(one.segment.duration_s for one in self.listed)
        self._longest_s = max(self._longest_s, total_s)
        while len(self.listed) > self.size:
            total_s -= self.listed[0].segment.duration_s
            if total_s < max(self.size_s, LEAST_TARGETS * self.target_s):
                break
            self._unlist()
        while self._spare and self._spare[0].until_s <= self._added_s:
            self._spare.popleft()
        while self._bytes() > self.most_bytes and self._spare:
            self._spare.popleft()
        while self._bytes() > self.most_bytes and len(self.listed) > 1:
            self.listed.popleft()

    def _unlist(self) -> None:
        gone = self.listed.popleft().segment
        # RFC 8216 §6.2.2: it stays for its own duration and that of the longest playlist that had it.
        until_s = self._added_s + gone.duration_s + self._longest_s
        self._spare.append(_Spare(gone, max(until_s, self._spare[-1].until_s if self._spare else 0.0)))

    def _bytes(self) -> int:
        return sum(s.segment.bytes for s in self.listed) + sum(s.segment.bytes for s in self._spare)
