from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from streamhub.model.streams import Published, State
from streamhub.wire.viewer import state_message, viewer_refusal


def test_state_message_when_the_room_was_seen_then_since_is_utc_with_milliseconds() -> None:
    since = datetime(2026, 11, 23, 4, 5, 6, 789_999, timezone(timedelta(hours=2)))
    assert json.loads(state_message((State.STALE, since), State.STALE, "door", None)) == {
        "type": "state",
        "state": "stale",
        "since": "2026-11-23T02:05:06.789Z",
        "camera": {"state": "stale", "participant": "door"},
        "publishers": 0,
        "hls": False,
    }


def test_state_message_when_the_room_was_never_seen_then_since_is_null() -> None:
    assert json.loads(state_message((State.OFFLINE, None), State.OFFLINE, None, None)) == {
        "type": "state",
        "state": "offline",
        "since": None,
        "camera": None,
        "publishers": 0,
        "hls": False,
    }


def test_state_message_when_the_second_is_whole_then_the_milliseconds_are_written() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    message = json.loads(state_message((State.LIVE, since), State.OFFLINE, None, Published(State.LIVE, since, 3)))
    assert (message["since"], message["camera"], message["publishers"]) == ("2026-01-01T00:00:00.000Z", None, 3)


def test_viewer_refusal_when_formatted_then_it_looks_like_a_camera_s() -> None:
    assert json.loads(viewer_refusal(4401, "unknown_app")) == {
        "type": "error",
        "code": "4401",
        "message": "unknown_app",
    }
