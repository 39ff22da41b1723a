"""The small parts: byte streams, queues, messages without secrets, what libav is told."""

from __future__ import annotations

import errno
import io
import threading
import time

import pytest

from streamhub.relay.failures import Failure, failure_of, mask
from streamhub.relay.nal import is_annex_b, parameter_sets, sequence_sets
from streamhub.relay.options import opening_of
from streamhub.relay.queues import UnitQueue
from streamhub.relay.stats import hints_for
from streamhub.relay.units import Unit, pack_unit, read_unit
from streamhub.wire.relay_control import Start, Track

SPS, PPS, IDR, AUD = b"\x67abc", b"\x68de", b"\x65slice", b"\x09\xf0"
LONG, SHORT = b"\x00\x00\x00\x01", b"\x00\x00\x01"


def unit(n: int, *, key: bool = False, kind: str = "video", size: int = 10) -> Unit:
    return Unit(kind, "h264", b"x" * size, n * 40_000, n * 40_000, 40_000, key, n, 0.0)  # type: ignore[arg-type]


def test_parameter_sets_then_what_is_before_the_first_slice() -> None:
    stream = LONG + AUD + LONG + SPS + SHORT + PPS + LONG + IDR + LONG + SPS
    assert parameter_sets("h264", stream) == LONG + SPS + LONG + PPS
    assert sequence_sets("h264", stream) == SPS
    assert parameter_sets("h264", LONG + IDR) == b""


def test_sequence_sets_when_a_camera_sends_them_twice_then_they_are_the_same_as_once() -> None:
    other = SPS + b"other"
    assert sequence_sets("h264", LONG + SPS + LONG + PPS + LONG + SPS + LONG + PPS + LONG + IDR) == SPS
    assert sequence_sets("h264", LONG + SPS + LONG + other + LONG + IDR) == SPS + other


def test_parameter_sets_of_h265() -> None:
    vps, sps, pps, idr = b"\x40\x01v", b"\x42\x01s", b"\x44\x01p", b"\x26\x01i"
    stream = LONG + vps + LONG + sps + LONG + pps + LONG + idr
    assert parameter_sets("hevc", stream) == LONG + vps + LONG + sps + LONG + pps
    assert sequence_sets("hevc", stream) == vps + sps


@pytest.mark.parametrize("data", [b"", b"\x00", SHORT, LONG, LONG + b"\x67", b"\x00" * 50, b"\xff" * 50])
def test_parameter_sets_of_rubbish_then_no_error(data: bytes) -> None:
    parameter_sets("h264", data)
    parameter_sets("hevc", data)


def test_headers_of_a_stream_then_their_form_is_known() -> None:
    assert is_annex_b(None)
    assert is_annex_b(LONG + SPS)
    assert not is_annex_b(b"\x01\x64\x00\x1f")


def test_queue_begins_at_a_key_frame_and_sound_waits_for_it() -> None:
    queue = UnitQueue(pictures=True)
    for one in (unit(0), unit(1, kind="audio"), unit(2, key=True), unit(3, kind="audio"), unit(4)):
        queue.put(one)
    queue.close(drain=True)
    assert [one.at_ms for one in iter(queue.get, None)] == [2, 3, 4]


def test_queue_that_is_full_then_it_goes_on_at_the_next_key_frame() -> None:
    queue = UnitQueue(pictures=True, most_us=400_000)
    for n in range(30):
        queue.put(unit(n, key=n % 10 == 0))
    queue.close(drain=True)
    left = [one.at_ms for one in iter(queue.get, None)]
    assert left[0] % 10 == 0
    assert left == list(range(left[0], 30))
    assert queue.dropped == 20


def test_queue_of_sound_alone_then_nothing_is_waited_for() -> None:
    queue = UnitQueue(pictures=False)
    queue.put(unit(0, kind="audio"))
    assert queue.get() == unit(0, kind="audio")
    queue.close(drain=False)
    assert queue.get() is None


def test_patient_queue_then_a_piece_of_sound_waits_for_the_next_unit_and_all_come_at_once() -> None:
    queue = UnitQueue(pictures=True, patient=True)
    queue.put(unit(0, key=True))
    assert [one.at_ms for one in queue.get_all()] == [0]
    got: list[list[int]] = []
    reader = threading.Thread(target=lambda: got.append([one.at_ms for one in queue.get_all()]))
    reader.start()
    while not queue.waited_for:
        time.sleep(0.001)
    queue.put(unit(1, kind="audio"))
    queue.put(unit(2))
    reader.join(10)
    assert got == [[1, 2]]
    queue.close(drain=False)
    assert queue.get_all() == []


def test_unit_through_a_pipe_then_it_is_the_same() -> None:
    one = unit(7, key=True)
    file = io.BytesIO(pack_unit(one) + pack_unit(one)[:-1])
    assert read_unit(file) == one
    assert read_unit(file) is None


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("cannot open rtsp://admin:s3cret@10.0.0.2/main", "s3cret"),
        ("cannot open rtsp://admin:s3@cret#1@10.0.0.2/main", "cret"),
        ("cannot open rtsp://admin:s3/cret@10.0.0.2/main", "s3/cret"),
        ("GET http://cam/stream?user=a&password=s3cret&x=1", "s3cret"),
        ("GET http://cam/stream?token=s3cret", "s3cret"),
        ("Authorization: Bearer eyJs3cret", "eyJs3cret"),
    ],
)
def test_mask_then_no_secret_is_left(text: str, secret: str) -> None:
    assert secret not in mask(text)
    assert mask(text) != ""


def test_failure_of_a_refused_connection_then_it_says_what_to_check() -> None:
    failure = failure_of(ConnectionRefusedError(errno.ECONNREFUSED, "x"), opened=False)
    assert failure.code == "connection_refused"
    assert "host and port" in failure.hint
    assert failure_of(TimeoutError(), opened=True).code == "stalled"
    assert failure_of(TimeoutError(), opened=False).code == "timeout"
    assert failure_of(failure, opened=True) is failure


@pytest.mark.parametrize(
    ("kind", "url"), [("rtsp", "http://h/x"), ("rtsp", "file:///etc/passwd"), ("http", "rtsp://h/x"), ("http", "x.mp4")]
)
def test_address_of_another_kind_then_refused(kind, url: str) -> None:
    with pytest.raises(Failure) as caught:
        opening_of(Start(kind=kind, url=url))
    assert caught.value.code == "bad_url"


@pytest.mark.parametrize(("kind", "url"), [("rtsp", "rtsp://h/x"), ("rtsp", "rtsps://h/x"), ("http", "https://h/x")])
def test_opening_then_libav_may_not_read_files(kind, url: str) -> None:
    options = opening_of(Start(kind=kind, url=url, proxy="http://127.0.0.1:1")).options
    allowed = options["protocol_whitelist"].split(",")
    assert not {"file", "data", "concat", "subfile", "pipe", "fd"} & set(allowed)
    assert options.get("http_proxy") == ("http://127.0.0.1:1" if kind == "http" else None)


def test_hints_then_they_name_what_costs() -> None:
    h264 = Track(kind="video", codec="h264", width=640, height=480, b_frames=True)
    assert hints_for((h264,), 2.0, encodes_b_frames=False) == ()
    assert "B-frames to 0" in hints_for((h264,), 2.0, encodes_b_frames=True)[0]
    assert "every 8 s" in hints_for((h264,), 8.0, encodes_b_frames=False)[0]
    assert "sub-stream" in hints_for((Track(kind="video", codec="hevc"),), None, encodes_b_frames=False)[0]
