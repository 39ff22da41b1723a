from __future__ import annotations

import trio

from streamhub.model.streams import KEY_REVOKED, STREAM_DELETED, StreamType
from tests.rooms.fakes import at, session
from tests.support.media import jpeg


async def test_end_when_ordered_twice_then_the_first_order_counts_and_the_scope_is_cancelled() -> None:
    one = session()
    one.end(KEY_REVOKED)
    one.end(STREAM_DELETED)
    assert one.order is KEY_REVOKED
    assert one.scope.cancel_called
    assert not one.ended.is_set()


async def test_status_when_frames_came_then_it_tells_size_rate_and_drops() -> None:
    one = session()
    for n in range(20):
        one.accepted(jpeg(n, (64, 48)), 100 + n / 10, at(n / 10))
    one.superseded(jpeg(1, (64, 48)), 102)
    one.drop("fps", 2)
    one.drop("fps")
    one.drop("not_jpeg")
    status = one.status(102)
    assert (status.width, status.height, status.codec) == (64, 48, "mjpeg")
    assert status.frames == 21
    assert status.dropped == {"fps": 3, "not_jpeg": 1}
    assert 9 < status.fps < 12
    assert status.last_frame_at == at(1.9)
    await trio.lowlevel.checkpoint()


async def test_status_when_nothing_came_then_figures_are_empty() -> None:
    one = session()
    one.type = StreamType.RTMP
    status = one.status(5)
    assert (status.fps, status.bitrate, status.width, status.height, status.codec) == (0, 0, None, None, None)
    assert status.last_frame_at is None


async def test_accepted_when_frames_come_fast_then_the_size_is_looked_at_once_a_second() -> None:
    one = session()
    one.accepted(jpeg(1, (64, 48)), 10.0, at(0))
    one.accepted(jpeg(1, (32, 24)), 10.9, at(1))
    assert one.size == (64, 48)
    one.accepted(jpeg(1, (32, 24)), 11.0, at(1))
    assert one.size == (32, 24)
