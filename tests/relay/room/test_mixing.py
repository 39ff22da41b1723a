"""Several people's samples made one."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamhub.relay.audio import RATE
from streamhub.relay.room.mixing import BLOCK, Mixer, Stereo

PIECE = 960


def piece(value: float, samples: int = PIECE) -> Stereo:
    return array("f", [value] * samples), array("f", [-value] * samples)


def mixed(mixer: Mixer, until: int) -> tuple[int, list[float], list[float]]:
    """Where it begins, and both channels."""
    blocks = list(mixer.take(until))
    left = [v for _, sound in blocks for v in sound[0]]
    right = [v for _, sound in blocks for v in sound[1]]
    assert [at for at, _ in blocks] == [blocks[0][0] + n * BLOCK for n in range(len(blocks))]
    return blocks[0][0], left, right


def test_nobody_speaks_then_silence_without_a_gap() -> None:
    mixer = Mixer()
    begins, left, right = mixed(mixer, 10 * BLOCK)
    assert (begins, set(left), set(right)) == (9 * BLOCK, {0.0}, {0.0})
    assert [at for at, _ in mixer.take(12 * BLOCK)] == [10 * BLOCK, 11 * BLOCK]
    assert list(mixer.take(12 * BLOCK)) == []


def test_two_speak_then_their_sound_is_added_up_where_both_do() -> None:
    mixer = Mixer()
    mixed(mixer, BLOCK)
    mixer.add("ann", BLOCK + 100, piece(0.25, 2000))
    mixer.add("bob", BLOCK + 1100, piece(0.5, 2000))
    _, left, right = mixed(mixer, 5 * BLOCK)
    assert left[:100] == [0.0] * 100
    assert left[100:1100] == [0.25] * 1000
    assert left[1100:2100] == [0.75] * 1000
    assert left[2100:3100] == [0.5] * 1000
    assert left[3100:] == [0.0] * (len(left) - 3100)
    assert right == [-value for value in left]


def test_sound_that_comes_too_late_then_only_the_rest_of_it_is_heard() -> None:
    mixer = Mixer()
    mixed(mixer, 4 * BLOCK)
    mixer.add("ann", 2 * BLOCK, piece(0.5, BLOCK))
    mixer.add("ann", 4 * BLOCK - 10, piece(0.5, 20))
    _, left, _ = mixed(mixer, 5 * BLOCK)
    assert left == [0.5] * 10 + [0.0] * (BLOCK - 10)


def test_a_pause_of_one_who_speaks_then_silence_between() -> None:
    mixer = Mixer()
    mixed(mixer, BLOCK)
    mixer.add("ann", BLOCK, piece(0.5))
    mixer.add("ann", BLOCK + RATE // 2, piece(0.5))
    _, left, _ = mixed(mixer, BLOCK + RATE)
    assert left[:PIECE] == [0.5] * PIECE
    assert set(left[PIECE : RATE // 2]) == {0.0}
    assert left[RATE // 2 : RATE // 2 + PIECE] == [0.5] * PIECE


def test_somebody_leaves_then_no_more_of_them_is_heard() -> None:
    mixer = Mixer()
    mixed(mixer, BLOCK)
    mixer.add("ann", BLOCK, piece(0.5))
    mixer.remove("ann")
    assert set(mixed(mixer, 3 * BLOCK)[1]) == {0.0}


def test_nobody_listened_for_long_then_it_goes_on_now() -> None:
    mixer = Mixer()
    mixed(mixer, BLOCK)
    assert [at for at, _ in mixer.take(60 * RATE)] == [60 * RATE - BLOCK]


@given(jitter=st.lists(st.integers(-600, 600), min_size=2, max_size=60))
def test_pieces_a_little_before_or_after_their_time_then_sound_without_a_gap(jitter: list[int]) -> None:
    mixer = Mixer()
    mixed(mixer, BLOCK)
    begin = 2 * BLOCK
    for n, off in enumerate(jitter):
        mixer.add("ann", begin + n * PIECE + (off if n else 0), piece(0.5))
    end = begin + len(jitter) * PIECE
    at, left, _ = mixed(mixer, end + 2 * BLOCK)
    heard = left[begin - at : end - at]
    assert heard == [0.5] * len(heard)
    assert sum(left) == pytest.approx(0.5 * len(jitter) * PIECE)
