"""The language of server and relay worker."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.wire.relay_control import (
    MOST_BYTES,
    AttachHls,
    AttachJpeg,
    AttachWhip,
    BadRelayMessage,
    Detach,
    Ended,
    Event,
    EventReader,
    Opened,
    Order,
    Picture,
    Planned,
    Segment,
    SinkEnded,
    SinkRunning,
    Start,
    Stats,
    Track,
    format_event,
    format_order,
    format_picture,
    parse_order,
)

ORDERS: list[Order] = [
    Start(kind="rtsp", url="rtsp://u:p@192.0.2.1/1", transport="udp", gop_s=2.5),
    AttachWhip(id="w", url="http://127.0.0.1:1/relay/whip", bearer="secret"),
    AttachHls(id="h", folder="/data/hls/x", prefix="ab", container="ts"),
    AttachJpeg(id="j", fps=2.0, key_only=True),
    Detach(id="j"),
]
VIDEO = Track(kind="video", codec="h264", width=640, height=360, fps=25.0, b_frames=True)
EVENTS: list[Event] = [
    Opened(tracks=(VIDEO,), plans=(Planned(output="hls", video="copy", audio="none"),)),
    SinkRunning(id="w", video="encode", audio="copy", why="B-frames"),
    Segment(id="h", name="ab_0.m4s", number=0, duration_s=2.0, at_ms=1, bytes=10, init="ab_init_0.mp4", first=True),
    Stats(fps=25.0, bitrate=1_000_000, gop_s=None, hints=("set B-frames to 0",)),
    Picture(at_ms=1_700_000_000_000, jpeg=b"\xff\xd8picture\xff\xd9"),
    SinkEnded(id="w", error="no", code="refused", hint="x"),
    Ended(),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda o: type(o).__name__)
def test_order_then_the_worker_reads_the_same(order: Order) -> None:
    assert parse_order(format_order(order)) == order


@given(st.data())
def test_events_cut_anywhere_then_read_as_they_were(data: st.DataObject) -> None:
    events = data.draw(st.lists(st.sampled_from(EVENTS), max_size=12))
    rest = b"".join(map(format_event, events))
    reader, found = EventReader(), list[Event]()
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += reader.receive(rest[:size])
        rest = rest[size:]
    assert found == events


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"op": "none"}',
        b'{"op": "detach"}',
        b'{"op": "detach", "id": "x", "more": 1}',
        b"\xff",
    ],
)
def test_order_when_it_is_none_then_refused(line: bytes) -> None:
    with pytest.raises(BadRelayMessage):
        parse_order(line)


def frame(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "data",
    [
        frame(2, b""),
        b"\0" + (MOST_BYTES + 1).to_bytes(4, "big"),
        frame(1, b"short"),
        frame(0, b"{"),
        frame(0, json.dumps({"event": "opened", "tracks": [{"codec": "h264"}]}).encode()),
    ],
)
def test_event_when_it_is_none_then_refused(data: bytes) -> None:
    with pytest.raises(BadRelayMessage):
        list(EventReader().receive(data))


@given(st.binary(max_size=200))
def test_any_bytes_then_events_or_refused(data: bytes) -> None:
    try:
        list(EventReader().receive(data))
    except BadRelayMessage:
        pass


def test_credentials_then_no_repr_shows_them() -> None:
    assert "u:p" not in repr(ORDERS[0])
    assert "secret" not in repr(ORDERS[1])
    assert format_picture(b"x", 7) == format_event(Picture(at_ms=7, jpeg=b"x"))
