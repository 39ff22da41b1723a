from __future__ import annotations

from streamhub.relay.opening import Opening
from streamhub.relay.units import Unit


def picture(n: int, *, key: bool = False, size: int = 10) -> Unit:
    return Unit("video", "h264", bytes([n]) * size, n * 33_000, n * 33_000, 33_000, key, 0, 0.0)


def test_opening_when_a_viewer_may_have_come_then_all_since_the_key_frame_comes_again_right_behind_the_last() -> None:
    opening = Opening(10.0)
    assert opening.take(picture(1, key=True), 10.0) == []
    assert opening.take(picture(2), 10.1) == []
    again = opening.take(picture(3), 10.21)
    assert [(one.data[0], one.key) for one in again] == [(1, True), (2, False), (3, False)]
    times = [one.dts for one in again]
    assert times == sorted(set(times)) == [one.pts for one in again]
    assert 99_000 < times[0] < times[-1] < 100_000, "behind the last, and before the next one can be"
    ticks = [at * 9 // 100 for at in (99_000, *times)]
    assert ticks == sorted(set(ticks)), "no two at the same tick of RTP's clock"


def test_opening_when_a_key_frame_comes_then_what_was_before_it_is_not_repeated() -> None:
    opening = Opening(0.0)
    for n in range(4):
        opening.take(picture(n, key=n % 2 == 0), 0.0)
    assert [one.data[0] for one in opening.take(picture(4), 0.3)] == [2, 3, 4]


def test_opening_when_it_is_over_then_nothing_comes_again() -> None:
    opening = Opening(0.0)
    opening.take(picture(0, key=True), 0.0)
    assert opening.take(picture(1), 0.5), "once for two moments that have passed"
    assert not opening.take(picture(2), 0.6)
    assert opening.take(picture(3), 0.9)
    assert not opening.take(picture(4), 5.0)
    assert not opening._units


def test_opening_when_the_pictures_are_too_many_or_too_large_then_the_next_key_frame_is_waited_for() -> None:
    many, large = Opening(0.0), Opening(0.0)
    for n in range(81):
        many.take(picture(n, key=n == 0), 0.0)
    large.take(picture(0, key=True, size=600_000), 0.0)
    assert not many.take(picture(81), 0.3)
    assert not large.take(picture(1), 0.3)
    assert many.take(picture(82, key=True), 0.5)


def test_opening_when_sound_comes_then_it_is_not_repeated() -> None:
    opening = Opening(0.0)
    sound = Unit("audio", "audio", b"s", 0, 0, 20_000, True, 0, 0.0)
    assert not opening.take(sound, 0.0)
    assert not opening.take(sound, 0.5)
    assert not opening.take(picture(1), 0.6), "without a key frame nothing can be begun with"
