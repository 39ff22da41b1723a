"""Opus of several people in, one AAC out."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import av
import pytest
from av.audio.frame import AudioFrame

from streamhub.relay.room.sound import Sound

RATE, PIECE = 48_000, 960
BEGAN = 10_000_000


@cache
def opus(hertz: int, count: int = 60) -> tuple[bytes, ...]:
    """Packets of 20 ms of a tone, 0.25 of full scale."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE, "stereo", "flt", 96_000
    packets = []
    for n in range(count):
        wave = array("f")
        for sample in range(n * PIECE, (n + 1) * PIECE):
            wave.extend([0.25 * math.sin(2 * math.pi * hertz * sample / RATE)] * 2)
        frame = AudioFrame("flt", "stereo", PIECE)
        frame.planes[0].update(wave.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, n * PIECE, Fraction(1, RATE)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets)


def loudest(sound: Sound, aac: list[tuple[bytes, int]]) -> float:
    decoder: Any = av.CodecContext.create("aac", "r")
    decoder.extradata = sound.format.extradata
    samples = [
        value
        for data, _ in aac
        for frame in decoder.decode(av.Packet(data))
        for value in array("f", bytes(frame.planes[0])[: 4 * frame.samples])
    ]
    return max(map(abs, samples))


def heard(sound: Sound, *voices: tuple[bytes, ...], late_us: int = 0) -> list[tuple[bytes, int]]:
    out: list[tuple[bytes, int]] = []
    for n, packets in enumerate(zip(*voices, strict=True)):
        at = BEGAN + n * 20_000
        for who, packet in enumerate(packets):
            sound.hear(str(who), packet, at, at + late_us)
        out += sound.due(at + late_us)
    return out


def test_one_and_two_people_then_evenly_timed_aac_as_loud_as_they_are() -> None:
    for voices, level in (([440], 0.25), ([440, 440], 0.5)):
        sound = Sound()
        aac = heard(sound, *(opus(hertz) for hertz in voices))
        assert loudest(sound, aac) == pytest.approx(level, abs=0.06)
        assert {round((b - a) / 10) for (_, a), (_, b) in pairwise(aac)} == {2133}


def test_sound_that_is_always_late_then_it_is_waited_for() -> None:
    sound = Sound()
    aac = heard(sound, opus(440), late_us=400_000)
    assert loudest(sound, aac) == pytest.approx(0.25, abs=0.06)


def test_nobody_speaks_then_silence() -> None:
    sound = Sound()
    list(sound.due(BEGAN))
    aac = list(sound.due(BEGAN + 500_000))
    assert len(aac) >= 20
    assert loudest(sound, aac) == 0


def test_damaged_packet_then_the_others_are_heard() -> None:
    sound = Sound()
    packets = opus(440)
    aac = heard(sound, (packets[0], b"\xff\xff\xff", *packets[2:]))
    assert loudest(sound, aac) > 0.15
