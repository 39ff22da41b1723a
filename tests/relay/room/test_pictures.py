"""Coded pictures looked at: key frames, their sets, sizes, and what is left out."""

from __future__ import annotations

import io
from fractions import Fraction
from functools import cache
from typing import Any

import av

from streamhub.relay.nal import parameter_sets
from streamhub.relay.room.pictures import Pictures


@cache
def coded(codec: str, width: int = 320, height: int = 240, count: int = 3) -> tuple[bytes, ...]:
    """A key frame, and pictures that follow it."""
    context: Any = av.CodecContext.create("libx264" if codec == "h264" else "libvpx", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, 25)
    context.options = {"tune": "zerolatency", "bf": "0"} if codec == "h264" else {"deadline": "realtime"}
    out = []
    for n in range(count):
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes((40 * n % 256,)) * plane.buffer_size)
        frame.pts = n
        out += [bytes(packet) for packet in context.encode(frame)]
    return tuple(out)


def test_h264_then_the_key_frame_tells_its_track() -> None:
    pictures = Pictures("h264")
    key, after, _ = coded("h264")
    taken = pictures.take(key)
    assert taken is not None
    assert (taken.key, taken.data) == (True, key)
    track = pictures.track
    assert track is not None
    assert (track.codec, track.width, track.height, track.b_frames) == ("h264", 320, 240, False)
    following = pictures.take(after)
    assert following is not None
    assert not following.key


def test_pictures_before_the_first_key_frame_then_nothing() -> None:
    pictures = Pictures("h264")
    key, after, _ = coded("h264")
    assert pictures.take(after) is None
    assert pictures.take(key) is not None


def test_h264_whose_sets_come_once_then_every_key_frame_has_them() -> None:
    pictures = Pictures("h264")
    key = coded("h264")[0]
    sets = parameter_sets("h264", key)
    bare = key[key.index(b"\x00\x00\x01\x65") :]
    assert pictures.take(bare) is None, "without its sets it cannot be shown"
    assert pictures.take(key) is not None
    again = pictures.take(bare)
    assert again is not None
    assert again.data == sets + bare
    assert len(av.open(io.BytesIO(again.data), format="h264").streams.video) == 1


def test_vp8_then_the_key_frame_tells_its_size_and_a_new_one_is_seen() -> None:
    pictures = Pictures("vp8")
    taken = pictures.take(coded("vp8")[0])
    assert taken is not None
    assert taken.key
    assert pictures.track is not None
    assert (pictures.track.codec, pictures.track.width, pictures.track.height) == ("vp8", 320, 240)
    pictures.take(coded("vp8", 640, 480)[0])
    assert (pictures.track.width, pictures.track.height) == (640, 480)


def test_blank_pictures_at_the_end_of_a_track_then_none_is_shown() -> None:
    for codec in ("h264", "vp8"):
        pictures = Pictures(codec)
        assert pictures.take(coded(codec)[0]) is not None
        assert pictures.take(coded(codec, 16, 16)[0]) is None
        assert pictures.take(coded(codec, 16, 16)[1]) is None
        assert pictures.take(coded(codec)[0]) is not None


def test_a_picture_is_lost_then_it_goes_on_at_the_next_key_frame() -> None:
    pictures = Pictures("vp8")
    key, after, _ = coded("vp8")
    pictures.take(key)
    pictures.lose()
    assert pictures.take(after) is None
    assert pictures.take(key) is not None


def test_damaged_data_then_nothing_is_raised() -> None:
    for codec in ("h264", "vp8"):
        pictures = Pictures(codec)
        for data in (b"", b"\x00", b"\x00\x00\x01", b"\x00\x00\x01\x65", b"\x10\x02\x00\x9d\x01\x2a"):
            assert pictures.take(data) is None
