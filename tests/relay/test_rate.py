"""The cap on what a relay's encoder sends: kept whatever is shown, and no coarser than it has to be."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from av.video.frame import VideoFrame

from streamhub.relay.encoder import VideoEncoder, _fitting, decoder_of, packet_for
from streamhub.relay.nal import parameter_sets
from streamhub.relay.plan import EncodeSettings
from streamhub.relay.rate import BEST, RateControl
from streamhub.relay.units import Unit

CAP, FPS, SIZE = 400_000, 20, (320, 240)
STEP = 1_000_000 // FPS
NOISE = random.Random(1).randbytes(SIZE[0] * SIZE[1] * 2)


def picture(luma: bytes) -> VideoFrame:
    frame = VideoFrame(*SIZE, "yuv420p")
    frame.planes[0].update(luma)
    for plane in frame.planes[1:]:
        plane.update(bytes([128]) * plane.buffer_size)
    return frame


def grey(_n: int) -> VideoFrame:
    return picture(bytes([100]) * (SIZE[0] * SIZE[1]))


def noise(n: int) -> VideoFrame:
    at = n * 7919 % (SIZE[0] * SIZE[1])
    return picture(NOISE[at : at + SIZE[0] * SIZE[1]])


def waves(n: int) -> VideoFrame:
    """Something that moves and has edges, and costs the cap at a middling quantiser."""
    row = bytes(60 + 130 * (((x + 3 * n) // 9) % 2) + (x * 7 + n * 11) % 13 for x in range(SIZE[0]))
    return picture(b"".join(row[(y * 5) % 90 :] + row[: (y * 5) % 90] for y in range(SIZE[1])))


def encoded(encoder: VideoEncoder, shows: Callable[[int], VideoFrame], begin: int, count: int) -> list[Unit]:
    return [unit for n in range(begin, begin + count) for unit in encoder.encode(shows(n), n * STEP, 0, 0.0)]


def most_waiting(units: list[Unit]) -> float:
    """Seconds of a line of the capped rate that waited at the worst moment."""
    level = worst = 0.0
    at = units[0].pts
    for unit in units:
        level = max(0.0, level - CAP * (unit.pts - at) / 1e6) + len(unit.data) * 8
        worst, at = max(worst, level), unit.pts
    return worst / CAP


def test_encoder_when_a_still_picture_turns_into_noise_then_the_rate_stays_below_its_cap() -> None:
    encoder = VideoEncoder(EncodeSettings(0, CAP), FPS, 1)
    units = [*encoded(encoder, grey, 0, 3 * FPS), *encoded(encoder, noise, 3 * FPS, 10 * FPS)]
    assert units[0].key
    largest = max(len(unit.data) for unit in units) * 8 / CAP
    assert most_waiting(units) <= 1 + largest, "never more than the second that a viewer's line can catch up with"
    later = [unit for unit in units if unit.pts >= 6_000_000]
    assert sum(len(unit.data) for unit in later) * 8 / 7 <= CAP * 1.15
    assert len(units) + encoder.skipped == 13 * FPS
    decoder = decoder_of("h264", 1)
    shown = sum(len(decoder.decode(packet_for(unit))) for unit in units) + len(decoder.decode(None))
    assert shown == len(units), "it begins anew with a key frame and the same parameter sets"


def test_encoder_when_noise_ends_then_the_picture_is_as_good_as_before() -> None:
    encoder = VideoEncoder(EncodeSettings(0, CAP), FPS, 1)
    encoded(encoder, noise, 0, 4 * FPS)
    units = encoded(encoder, grey, 4 * FPS, 14 * FPS)
    assert encoder._rate.quantiser == BEST
    keys = [unit.pts for unit in units if unit.key and unit.pts >= 8_000_000]
    assert {b - a for a, b in pairwise(keys)} == {1_000_000}, "a key frame a second"


def test_encoder_when_the_quality_changes_then_the_parameter_sets_do_not() -> None:
    encoder = VideoEncoder(EncodeSettings(0, CAP), FPS, 1)
    units = [*encoded(encoder, grey, 0, 3 * FPS), *encoded(encoder, noise, 3 * FPS, 3 * FPS)]
    keys = [unit for unit in units if unit.key]
    assert encoder._rate.quantiser > BEST + 10, "it was as fine as can be for the grey, and has begun anew since"
    assert len({parameter_sets("h264", unit.data) for unit in keys}) == 1


def test_encoder_when_the_picture_moves_evenly_then_the_rate_is_used() -> None:
    encoder = VideoEncoder(EncodeSettings(0, CAP), FPS, 1)
    encoded(encoder, waves, 0, 4 * FPS)
    skipped = encoder.skipped
    units = encoded(encoder, waves, 4 * FPS, 8 * FPS)
    later = sum(len(unit.data) for unit in units) * 8 / 8
    assert encoder.skipped == skipped
    assert encoder._rate.quantiser > BEST
    assert CAP * 0.7 <= later <= CAP * 1.1


def test_encoder_when_a_decoded_picture_fits_then_it_is_not_copied() -> None:
    fits = grey(0)
    assert _fitting(fits, SIZE) is fits
    assert _fitting(fits, (160, 120)).width == 160
    fits.color_range = 2  # JPEG's
    assert _fitting(fits, SIZE) is not fits


def test_rate_when_the_bucket_is_full_then_pictures_are_left_out_until_it_has_room() -> None:
    rate = RateControl(1_000_000, 100_000)
    assert rate.admit(0)
    rate.count(0, 150_000, key=True)  # 1.2 s of the line
    assert [rate.admit(at) for at in (100_000, 200_000, 300_000)] == [False, False, True]
    assert rate.skipped == 2


@pytest.mark.parametrize("clock", [0, 5_000_000_000])
def test_rate_when_pictures_come_seldom_then_each_counts_by_its_time(clock: int) -> None:
    rate = RateControl(1_000_000, 2_000_000)
    for n in range(20):
        at = clock + n * 2_000_000
        assert rate.admit(at)
        rate.key_due(at)
        rate.count(at, 12_500, key=True)  # 0.1 Mbit in two seconds
    assert rate.quantiser == BEST
