from __future__ import annotations

import io
import time
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image, ImageChops

from streamhub.simulator.picture import Picture, test_picture

AT = datetime(2026, 11, 23, 12, 34, 56, 789_000, tzinfo=UTC)


def box_of_change(one, other):
    """Where two pictures differ: left, top, right, bottom; None if they are equal."""
    return ImageChops.difference(one, other).getbbox()


@pytest.mark.parametrize("size", [(640, 480), (64, 48), (320, 240), (480, 640), (1281, 719)])
async def test_picture_when_asked_for_a_frame_then_it_is_a_whole_jpeg_of_that_size(size):
    frame = await test_picture(size, "live / cam1").next_frame()
    with Image.open(io.BytesIO(frame)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", size, "RGB")
        image.load()
    assert frame.endswith(b"\xff\xd9")


def test_picture_when_drawn_twice_for_the_same_moment_then_is_the_same():
    picture = Picture((640, 480), "cam1")
    assert box_of_change(picture.draw(AT, 5), picture.draw(AT, 5)) is None


def test_picture_when_only_the_counter_moves_then_only_its_corner_changes():
    picture = Picture((640, 480), "cam1")
    left, top, right, bottom = box_of_change(picture.draw(AT, 41), picture.draw(AT, 42))
    assert left > 480
    assert top > 420
    assert right <= 640
    assert bottom <= 480


def test_picture_when_a_millisecond_passes_then_the_clock_shows_it():
    picture = Picture((640, 480), "cam1")
    later = picture.draw(AT + timedelta(milliseconds=1), 1)
    box = box_of_change(picture.draw(AT, 1).crop((0, 320, 640, 440)), later.crop((0, 320, 640, 440)))
    assert box is not None


def test_picture_when_time_passes_then_the_ball_moves_in_the_upper_part():
    picture = Picture((640, 480), "cam1")
    later = picture.draw(AT + timedelta(seconds=0.2), 1)
    assert box_of_change(picture.draw(AT, 1).crop((0, 0, 640, 270)), later.crop((0, 0, 640, 270))) is not None


def test_picture_when_labels_differ_then_pictures_differ_and_long_ones_stay_inside():
    short, long = Picture((320, 240), "cam1"), Picture((320, 240), "x" * 64)
    left, top, right, _ = box_of_change(short.draw(AT, 1), long.draw(AT, 1))
    assert left > 4
    assert right < 316
    assert top > 130


async def test_picture_when_the_clock_is_given_then_that_time_is_burnt_in():
    now = AT
    picture = Picture((640, 480), "cam1", quality=95, clock=lambda: now)
    with Image.open(io.BytesIO(await picture.next_frame())) as frame:
        drawn = picture.draw(AT.astimezone(), 1)
        # JPEG is lossy: compare by the mean of the difference.
        difference = ImageChops.difference(frame.convert("RGB"), drawn).convert("L").resize((1, 1))
    assert difference.getpixel((0, 0)) < 4


async def test_picture_when_quality_is_lowered_then_frames_shrink_until_the_floor():
    picture = Picture((640, 480), "cam1", clock=lambda: AT)
    sizes = [len(await picture.next_frame())]
    while picture.lower_quality():
        sizes.append(len(await picture.next_frame()))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 2
    assert picture.quality == 10


def test_picture_of_vga_size_when_drawn_and_encoded_then_takes_under_five_milliseconds():
    picture = Picture((640, 480), "cam1")
    took = []
    for _ in range(15):
        began = time.perf_counter()
        picture.make()
        took.append(time.perf_counter() - began)
    # The fastest one: the others may have met a busy machine.
    assert min(took) < 0.005
