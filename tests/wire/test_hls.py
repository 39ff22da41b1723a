from __future__ import annotations

from streamhub.wire.hls import LiveWindow
from streamhub.wire.relay_control import Segment

AT_MS = 1_767_225_600_250  # 2026-01-01T00:00:00.250Z


def segment(number: int, *, init: str | None = "a_init_0.mp4", first: bool = False, size: int = 100) -> Segment:
    return Segment(
        id="hls",
        name=f"a_{number}.m4s",
        number=number,
        duration_s=2.0,
        at_ms=AT_MS + number * 2000,
        bytes=size,
        init=init,
        first=first,
    )


def test_playlist_when_fmp4_segments_came_then_it_reads_as_the_rfc_says() -> None:
    window = LiveWindow("fmp4", sequence=40, discontinuity=7)
    window.add(segment(0, first=True))
    window.add(segment(1))
    window.add(segment(2, init="a_init_1.mp4", first=True))
    assert window.playlist() == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:2\n"
        "#EXT-X-MEDIA-SEQUENCE:40\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MAP:URI="a_init_0.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.250Z\n"
        "#EXTINF:2.00000,\n"
        "a_0.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:02.250Z\n"
        "#EXTINF:2.00000,\n"
        "a_1.m4s\n"
        "#EXT-X-DISCONTINUITY\n"
        '#EXT-X-MAP:URI="a_init_1.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:04.250Z\n"
        "#EXTINF:2.00000,\n"
        "a_2.m4s\n"
    )


def test_playlist_when_the_container_is_ts_then_old_players_may_read_it() -> None:
    window = LiveWindow("ts")
    window.add(segment(0, init=None))
    assert "#EXT-X-VERSION:3\n" in window.playlist()
    assert "EXT-X-MAP" not in window.playlist()


def test_playlist_when_given_a_query_then_every_uri_has_it() -> None:
    window = LiveWindow("fmp4")
    window.add(segment(0))
    window.add(segment(1, init="a_init_1.mp4"))
    lines = window.playlist("?token=t.o.k").splitlines()
    assert [line for line in lines if ".m" in line] == [
        '#EXT-X-MAP:URI="a_init_0.mp4?token=t.o.k"',
        "a_0.m4s?token=t.o.k",
        '#EXT-X-MAP:URI="a_init_1.mp4?token=t.o.k"',
        "a_1.m4s?token=t.o.k",
    ]


def test_add_when_the_list_is_full_then_files_stay_for_who_read_the_last_list() -> None:
    window = LiveWindow("fmp4", size=3, size_s=6.0)
    dropped = [window.add(segment(n, init=f"a_init_{n // 5}.mp4")) for n in range(12)]
    assert [one.segment.number for one in window.listed] == [9, 10, 11]
    # A segment of 2 s that was in lists of up to 8 s: ten more seconds.
    assert dropped[:8] == [set()] * 8
    assert dropped[8] == {"a_0.m4s"}
    assert set().union(*dropped) == {"a_0.m4s", "a_1.m4s", "a_2.m4s", "a_3.m4s"}
    assert set().union(*(window.add(segment(n, init="a_init_2.mp4")) for n in range(12, 40))) >= {"a_init_0.mp4"}


def test_add_when_the_disk_has_no_more_room_then_the_oldest_go_but_for_the_newest() -> None:
    window = LiveWindow("fmp4", most_bytes=1000)
    for n in range(30):
        window.add(segment(n, size=250))
        assert len(window.names()) <= 4 + 1
    assert window.add(segment(30, size=5000)) >= {"a_29.m4s"}
    assert window.names() == {"a_30.m4s", "a_init_0.mp4"}


def test_restart_when_the_clock_went_back_then_the_numbers_still_go_on() -> None:
    window = LiveWindow("fmp4", sequence=1000, discontinuity=1000)
    window.add(segment(0))
    window.restart(900, 900)
    assert window.names() == set()
    window.add(segment(1))
    assert (window.listed[0].sequence, window.listed[0].discontinuity) == (1001, 1001)
    window.restart(2000, 2000)
    window.add(segment(2))
    assert (window.listed[0].sequence, window.listed[0].discontinuity) == (2000, 2000)
