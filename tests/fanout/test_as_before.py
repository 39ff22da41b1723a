"""MJPEG viewers notice nothing of a worker: the tests of playback and of slow viewers, once more through one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tests.faults import test_slow_viewers
from tests.playback import test_mjpeg

CHOSEN = (
    test_mjpeg.test_mjpeg_when_the_camera_is_live_then_every_byte_is_as_the_contract_says,
    test_mjpeg.test_mjpeg_when_many_watch_then_each_gets_each_picture,
    test_mjpeg.test_mjpeg_when_the_room_is_offline_then_the_placeholder_comes_at_once_and_every_five_seconds,
    test_mjpeg.test_mjpeg_when_the_camera_goes_and_comes_back_then_the_stream_goes_on_with_what_is_true,
    test_mjpeg.test_mjpeg_when_a_rate_is_asked_then_pictures_come_at_it,
    test_mjpeg.test_mjpeg_when_the_room_has_its_most_viewers_then_the_next_is_refused_until_one_leaves,
    test_mjpeg.test_mjpeg_when_a_crowd_comes_at_once_then_no_more_than_the_apps_cap_get_in,
    test_mjpeg.test_mjpeg_when_the_grant_ends_then_so_does_the_stream,
    test_mjpeg.test_mjpeg_when_the_viewer_leaves_then_nothing_of_it_is_left,
    test_mjpeg.test_mjpeg_when_the_viewer_talks_without_end_then_it_is_dropped,
    test_mjpeg.test_mjpeg_when_the_server_stops_then_the_stream_ends,
    test_slow_viewers.test_slow_viewers_when_they_sip_or_stall_then_nobody_else_misses_a_picture,
)


def through_workers(test: Callable[..., Any]) -> Callable[..., Any]:
    """The test with two workers at work before it begins."""

    @functools.wraps(test)
    async def run(two: object, **given: Any) -> None:
        await test(**given)

    asked = inspect.signature(test)
    two = inspect.Parameter("two", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = asked.replace(parameters=[*asked.parameters.values(), two])  # type: ignore[attr-defined]
    return run


for chosen in CHOSEN:
    globals()[chosen.__name__] = through_workers(chosen)
