"""The rules of RFC 8216 for a live playlist, as a client meets them: by reading each version of the text."""

from __future__ import annotations

import re

import attrs
from hypothesis import given
from hypothesis import strategies as st

from streamhub.wire.hls import LiveWindow
from streamhub.wire.relay_control import Container, Segment


@attrs.frozen
class Read:
    """A segment as a client sees it."""

    uri: str
    sequence: int
    discontinuity: int
    duration: float
    init: str | None


@attrs.frozen
class Reading:
    version: int
    target: int
    sequence: int
    discontinuity: int
    segments: list[Read]

    @property
    def duration(self) -> float:
        return sum(s.duration for s in self.segments)


def read(text: str) -> Reading:
    """A client's parser, written from RFC 8216 §4.3."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U"
    assert lines.pop() == ""
    assert len(lines) == len([line for line in lines if line])
    once = ("VERSION", "TARGETDURATION", "MEDIA-SEQUENCE", "DISCONTINUITY-SEQUENCE")
    head = {}
    for name in once:
        (head[name],) = [int(v) for v in re.findall(rf"^#EXT-X-{name}:(\d+)$", text, re.MULTILINE)]
    assert lines.count("#EXT-X-INDEPENDENT-SEGMENTS") == 1
    sequence, discontinuity = head["MEDIA-SEQUENCE"], head["DISCONTINUITY-SEQUENCE"]
    first_uri = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    # RFC 8216 §4.3.3.2 and .3: before the first segment, and before any EXT-X-DISCONTINUITY.
    places = [i for i, line in enumerate(lines) if re.match("#EXT-X-(MEDIA|DISCONTINUITY)-SEQUENCE", line)]
    breaks = [i for i, line in enumerate(lines) if line == "#EXT-X-DISCONTINUITY"]
    assert max(places) < min([first_uri, *breaks])
    found, duration, init, dated = [], None, None, False
    for line in lines:
        if line == "#EXT-X-DISCONTINUITY":
            discontinuity += 1
        elif line.startswith("#EXT-X-MAP:"):
            init = re.fullmatch(r'#EXT-X-MAP:URI="([^"]+)"', line)[1]  # type: ignore[index]
        elif line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            assert re.fullmatch(r"#EXT-X-PROGRAM-DATE-TIME:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line)
            dated = True
        elif line.startswith("#EXTINF:"):
            duration = float(re.fullmatch(r"#EXTINF:(\d+\.\d+),", line)[1])  # type: ignore[index]
        elif not line.startswith("#"):
            assert duration is not None
            assert dated
            found.append(Read(line, sequence, discontinuity, duration, init))
            sequence += 1
            duration, dated = None, False
    return Reading(
        head["VERSION"], head["TARGETDURATION"], head["MEDIA-SEQUENCE"], head["DISCONTINUITY-SEQUENCE"], found
    )


@attrs.frozen
class Came:
    duration_s: float
    first: bool
    new_init: bool


CAME = st.builds(
    Came,
    duration_s=st.floats(0.0, 12.0) | st.sampled_from([2.0, 1.0, 2.4999999, 2.5, 0.499999]),
    first=st.sampled_from([False, False, False, True]),
    new_init=st.sampled_from([False, False, False, True]),
)


def segments(came: list[Came], container: Container) -> list[Segment]:
    found, init = [], 0
    for number, one in enumerate(came):
        init += one.new_init
        found.append(
            Segment(
                id="x",
                name=f"p_{number}.m4s",
                number=number,
                duration_s=one.duration_s,
                at_ms=1_767_225_600_000 + number,
                bytes=10,
                init=f"p_init_{init}.mp4" if container == "fmp4" else None,
                first=one.first,
            )
        )
    return found


@given(st.lists(CAME, min_size=1, max_size=60), st.sampled_from(["fmp4", "ts"]), st.integers(1, 8), st.floats(0, 30))
def test_live_playlists_when_read_one_after_the_other_then_they_keep_the_rules(
    came: list[Came], container: Container, size: int, size_s: float
) -> None:
    window = LiveWindow(container, sequence=100, discontinuity=100, size=size, size_s=size_s)
    known: dict[str, Read] = {}
    files: set[str] = set()
    # Of each segment that left the list: how much media must still come before its file may go.
    owed: dict[str, float] = {}
    longest: dict[str, float] = {}
    last: Reading | None = None
    for given_segment in segments(came, container):
        files |= {given_segment.name} | ({given_segment.init} if given_segment.init else set())
        files -= window.add(given_segment)
        now = read(window.playlist())
        assert now.version == (7 if container == "fmp4" else 3)
        for one in now.segments:
            # §4.3.3.1: rounded to the nearest integer, no longer than the target.
            assert int(one.duration + 0.5) <= now.target
            # §6.2.1 and .2: a segment keeps its URI and numbers for ever, and has its initialisation.
            assert known.setdefault(one.uri, one) == one
            assert one.uri in files
            assert (one.init in files) if container == "fmp4" else one.init is None
            longest[one.uri] = max(longest.get(one.uri, 0.0), now.duration)
        assert now.segments[-1].uri == given_segment.name
        assert now.segments[-1].duration == round(max(0.001, given_segment.duration_s), 5)
        added = now.segments[-1].duration
        owed = {uri: left - added for uri, left in owed.items()}
        if last is not None:
            # §6.2.1: only appended to, and removed from in order.
            gone = [s for s in last.segments if s not in now.segments]
            assert gone == last.segments[: len(gone)]
            assert now.segments[: len(last.segments) - len(gone)] == last.segments[len(gone) :]
            assert now.sequence == last.sequence + len(gone)
            assert now.discontinuity >= last.discontinuity
            assert now.target >= last.target
            assert now.segments[-1].discontinuity == last.segments[-1].discontinuity + given_segment.first
            # §6.2.2: nothing goes if less than three target durations would stay.
            if gone:
                assert now.duration >= max(size_s, 3 * now.target) - 1e-6
                assert len(now.segments) >= size
            owed |= {s.uri: s.duration + longest[s.uri] for s in gone}
        # §6.2.2: a removed segment stays available for its duration and that of the longest list it was in.
        assert {uri for uri, left in owed.items() if left > 1e-6} <= files
        last = now


@given(st.lists(CAME, min_size=20, max_size=60), st.integers(20, 200))
def test_live_playlist_when_the_disk_is_small_then_it_is_never_filled_beyond_it(
    came: list[Came], most_bytes: int
) -> None:
    window, files = LiveWindow("ts", most_bytes=most_bytes), set()
    for one in segments(came, "ts"):
        files = (files | {one.name}) - window.add(one)
        assert files == window.names()
        assert 10 * len(files) <= most_bytes
        read(window.playlist())


@given(st.lists(st.lists(CAME, min_size=1, max_size=12), min_size=2, max_size=5), st.lists(st.integers(0, 300)))
def test_live_playlist_when_it_starts_again_then_no_number_goes_back(
    starts: list[list[Came]], clock: list[int]
) -> None:
    window, last = LiveWindow("fmp4"), None
    for came, at in zip(starts, [*clock, *[0] * len(starts)], strict=False):
        window.restart(at, at)
        for one in segments(came, "fmp4"):
            window.add(one)
            now = read(window.playlist())
            if last is not None:
                assert now.sequence >= last.sequence
                assert now.segments[-1].sequence > last.segments[-1].sequence
                assert now.discontinuity >= last.discontinuity
                if now.segments[0].uri == "p_0.m4s" and last.segments[-1].uri != "p_0.m4s" and len(now.segments) == 1:
                    assert now.segments[0].discontinuity > last.segments[-1].discontinuity
            last = now
