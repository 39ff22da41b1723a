"""Whose picture is shown, and who is heard."""

from __future__ import annotations

from streamhub.relay.room.people import SHOWN_S, SPOKEN_S, People, Person, PublishedTrack


def camera(sid: str, *, muted: bool = False, codec: str = "video/h264") -> PublishedTrack:
    return PublishedTrack(sid, "video", muted=muted, codecs=frozenset({codec}))


def voice(sid: str, *, muted: bool = False) -> PublishedTrack:
    return PublishedTrack(sid, "audio", muted=muted, codecs=frozenset({"audio/opus"}))


ANN = Person("PA_a", "ann", 1, (camera("ann-v"), voice("ann-a")))
BOB = Person("PA_b", "bob", 2, (camera("bob-v"), voice("bob-a")))


def test_several_publish_then_the_first_is_shown_and_all_are_heard() -> None:
    people = People()
    people.update([BOB, ANN])
    assert people.picture(0.0) == "ann-v"
    assert people.sounds() == {"ann-a", "bob-a"}


def test_somebody_speaks_on_then_that_one_is_shown_and_stays_when_silent() -> None:
    people = People()
    people.update([ANN, BOB])
    assert people.picture(0.0) == "ann-v"
    people.speak({"PA_b": 0.4}, 10.0)
    assert people.picture(10.0 + SPOKEN_S - 0.1) == "ann-v"
    assert people.picture(10.0 + SPOKEN_S) == "bob-v"
    people.speak({"PA_b": 0.0}, 12.0)
    assert people.picture(60.0) == "bob-v"


def test_two_speak_by_turns_then_the_picture_does_not_jump_to_and_fro() -> None:
    people = People()
    people.update([ANN, BOB])
    people.picture(0.0)
    people.speak({"PA_b": 0.4}, 10.0)
    assert people.picture(11.5) == "bob-v"
    people.speak({"PA_a": 0.9}, 11.6)
    assert people.picture(11.5 + SHOWN_S - 0.1) == "bob-v"
    assert people.picture(11.5 + SHOWN_S) == "ann-v"


def test_the_one_shown_leaves_or_mutes_then_another_is_shown_at_once() -> None:
    people = People()
    people.update([ANN, BOB])
    assert people.picture(0.0) == "ann-v"
    people.update([Person("PA_a", "ann", 1, (camera("ann-v", muted=True),))])
    assert people.picture(0.1) == "bob-v"
    people.update([], ["PA_b"])
    assert people.picture(0.2) is None
    people.update([ANN])
    assert people.picture(0.3) == "ann-v"


def test_a_screen_is_shared_then_it_goes_before_every_camera() -> None:
    people = People()
    people.update([ANN, BOB])
    people.picture(0.0)
    screen = PublishedTrack("bob-s", "video", screen=True, codecs=frozenset({"video/vp8"}))
    people.update([Person("PA_b", "bob", 2, (camera("bob-v"), screen))])
    people.speak({"PA_a": 0.9}, 1.0)
    assert people.picture(20.0) == "bob-s"
    people.update([BOB])
    assert people.picture(20.1) == "ann-v", "who speaks"


def test_video_in_a_codec_that_is_not_taken_then_another_is_shown_or_it_is_named() -> None:
    people = People()
    people.update([Person("PA_a", "ann", 1, (camera("ann-v", codec="video/av1"),))])
    assert people.picture(0.0) is None
    assert people.unusable == {"video/av1"}
    people.update([BOB])
    assert people.picture(0.1) == "bob-v"


def test_a_backup_codec_then_it_can_be_had() -> None:
    track = PublishedTrack("ann-v", "video", codecs=frozenset({"video/vp9", "video/vp8"}))
    people = People()
    people.update([Person("PA_a", "ann", 1, (track,))])
    assert people.picture(0.0) == "ann-v"


def test_muted_sound_then_it_is_not_heard_but_known_of() -> None:
    people = People()
    people.update([Person("PA_a", "ann", 1, (voice("ann-a", muted=True),))])
    assert people.sounds() == set()
    assert people.has_sound
