from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from streamhub.livekit.participants import Kind, Participant
from streamhub.livekit.tokens import TYPE_ATTRIBUTE
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.streams import StreamChanged, StreamEnded, StreamStarted, StreamType
from streamhub.services.livekit_events import app_of, changes, onlookers, publications, stream_type, viewers
from tests.fakes.livekit import AT, person, track

ROOM = RoomKey(AppName("live"), RoomName("live-demo"))
LATER = AT + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("room", "app"),
    [
        ("live", "live"),
        ("live-demo", "live"),
        ("live-", "live"),
        ("lively", None),
        ("other", None),
        ("two-a", "two"),
        ("one-two-a", "one"),
        ("", None),
    ],
)
def test_app_when_a_room_bears_its_prefix_then_that_app(room: str, app: str | None) -> None:
    found = app_of(room, {"live": "live", "two": "two", "one": "one-two"})
    assert (found.app if found else None) == app
    assert found is None or found.room == room


@pytest.mark.parametrize(
    ("who", "kind"),
    [
        (person(), StreamType.WEBRTC),
        (person(kind=Kind.AGENT), StreamType.WEBRTC),
        (person(attributes={TYPE_ATTRIBUTE: "whip"}), StreamType.WHIP),
        (person(attributes={TYPE_ATTRIBUTE: "rtsp"}), StreamType.RTSP),
        (person(attributes={TYPE_ATTRIBUTE: "rtmp"}, kind=Kind.INGRESS), StreamType.RTMP),
        (person(kind=Kind.INGRESS), StreamType.RTMP),
        (person(attributes={TYPE_ATTRIBUTE: "nonsense"}), StreamType.WEBRTC),
        (person(attributes={TYPE_ATTRIBUTE: "ws-mjpeg"}), None),
    ],
)
def test_type_then_as_our_token_or_livekit_says(who: Participant, kind: StreamType | None) -> None:
    assert stream_type(who) is kind


def test_type_when_livekits_ingress_service_made_it_then_that_of_the_ingress() -> None:
    types = {"PA_obs": StreamType.WHIP}
    assert stream_type(person("obs", kind=Kind.INGRESS), types) is StreamType.WHIP
    assert stream_type(person("obs"), types) is StreamType.WEBRTC
    (found,) = publications(ROOM, [person("obs", track(), kind=Kind.INGRESS)], AT, types).values()
    assert found.type is StreamType.WHIP


@pytest.mark.parametrize(
    ("who", "counts"),
    [
        (person("a", track()), True),
        (person("a", track("audio", muted=True)), True),
        (person("a"), False),
        (person("a", track("data")), False),
        (person("a", track(), hidden=True), False),
        (person("a", track(), state="disconnected"), False),
        (person("a", track(), attributes={TYPE_ATTRIBUTE: "ws-mjpeg"}), False),
    ],
)
def test_publications_then_who_can_be_seen_or_heard(who: Participant, counts: bool) -> None:
    assert list(publications(ROOM, [who], AT)) == (["live-demo/a"] if counts else [])


def test_viewers_then_people_without_tracks() -> None:
    people = [
        person("a", track()),
        person("b"),
        person("c", hidden=True),
        person("d", state="joining"),
        person("e", kind=Kind.EGRESS),
        person("f", attributes={TYPE_ATTRIBUTE: "ws-mjpeg"}),
    ]
    assert viewers(people) == 2


def test_onlookers_then_all_who_may_watch_but_those_we_made() -> None:
    people = [
        person("a", track()),
        person("b", hidden=True),
        person("c", state="joining"),
        person("d", kind=Kind.EGRESS),
        person("e", state="disconnected"),
        person("f", kind=Kind.INGRESS),
        person("g", may_watch=False),
        person("h", track(), attributes={TYPE_ATTRIBUTE: "ws-mjpeg"}),
    ]
    assert onlookers(people) == 4


def test_source_then_what_the_largest_video_shows() -> None:
    who = person("a", track("audio", mime_type="audio/opus", width=0), track(width=640), track(mime_type="video/H264"))
    source = publications(ROOM, [who], AT)["live-demo/a"].source()
    assert (source.width, source.height, source.codec, source.fps) == (1280, 720, "h264", None)
    quiet = publications(ROOM, [person("a", track("audio", mime_type="audio/opus", width=0))], AT)
    assert attrs.astuple(quiet["live-demo/a"].source(), recurse=False)[8:11] == (None, None, "opus")


def seen(*people: Participant) -> Any:
    return publications(ROOM, people, AT)


def test_changes_when_nothing_changed_then_none_even_if_somebody_came_back() -> None:
    before = seen(person("a", track()), person("b", track(), sid="PA_old"))
    after = seen(person("a", track(), track("audio")), person("b", track(), sid="PA_new"))
    assert changes(before, after, LATER) == []


def test_changes_when_people_come_and_go_then_one_start_and_end_each() -> None:
    events = changes(seen(person("a", track())), seen(person("b", track())), LATER)
    assert [type(e) for e in events] == [StreamEnded, StreamStarted, StreamChanged]
    assert [e.stream_id for e in events] == ["live-demo/a", "live-demo/b", "live-demo/b"]


def test_changes_when_another_kind_takes_the_identity_then_an_end_comes_first() -> None:
    events = changes(seen(person("a", track())), seen(person("a", track(), attributes={TYPE_ATTRIBUTE: "whip"})), LATER)
    assert [type(e) for e in events] == [StreamEnded, StreamStarted, StreamChanged]
    assert isinstance(events[0], StreamEnded)
    assert isinstance(events[1], StreamStarted)
    assert (events[0].reason, events[1].type) == ("replaced", StreamType.WHIP)


def test_changes_when_it_was_stale_then_it_is_live_again() -> None:
    before = {i: attrs.evolve(p, stale=True) for i, p in seen(person("a", track())).items()}
    (event,) = changes(before, seen(person("a", track())), LATER)
    assert isinstance(event, StreamChanged)
    assert event.state.value == "live"
