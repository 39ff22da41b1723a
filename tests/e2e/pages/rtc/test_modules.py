"""Pure parts of the scripts below static/rtc, and the verdict, called in the browser."""

from __future__ import annotations

import pytest

from tests.e2e.pages.test_modules import run

__all__ = ["run"]


@pytest.mark.parametrize(
    ("count", "width", "height", "divided"),
    [
        (0, 800, 450, [1, 1]),
        (1, 800, 450, [1, 1]),
        (2, 800, 450, [2, 1]),
        (2, 400, 800, [1, 2]),
        (3, 1600, 900, [2, 2]),
        (4, 1600, 900, [2, 2]),
        (4, 300, 1200, [1, 4]),
        (9, 1600, 900, [3, 3]),
    ],
)
def test_tiles_are_as_large_as_the_box_allows(run, count, width, height, divided):
    body = "const {columns, rows} = m.divide(...given); return [columns, rows];"
    assert run("rtc/grid.js", body, [count, width, height]) == divided


PEOPLE = """
const pub = (kind, source, isMuted = false) => ({kind, source, isMuted, isDesired: true, isEnabled: true});
const person = (identity, joined, pubs, more = {}) => [identity, {
    identity, name: '', joinedAt: new Date(joined), isSpeaking: false,
    trackPublications: new Map(pubs.map((p, n) => [String(n), p])), ...more}];
const room = {localParticipant: person('me', 0, [pub('video', 'camera')])[1], remoteParticipants: new Map([
    person('late', 9, [pub('video', 'camera'), pub('audio', 'microphone', true)], {name: 'Late'}),
    person('mute', 5, []),
    person('ears', 3, [pub('audio', 'microphone')], {isSpeaking: true}),
    person('show', 7, [pub('video', 'screen_share'), pub('audio', 'screen_share_audio'), pub('video', 'camera')]),
])};
const tell = (t) => [
    t.id, t.name, t.video && t.video.source, t.audios.map((a) => a.source).join(), t.speaking, t.silent];
"""


def test_a_tile_for_each_publisher_and_screen_screens_first_then_by_arrival(run):
    body = PEOPLE + "return m.tilesOf(room).map(tell);"
    assert run("rtc/people.js", body) == [
        ["show/screen/0", "show", "screen_share", "screen_share_audio", False, False],
        ["ears/person/0", "ears", None, "microphone", True, False],
        ["show/person/0", "show", "camera", "", False, False],
        ["late/person/0", "Late", "camera", "microphone", False, True],
    ]


def test_a_camera_of_ours_is_no_tile_and_its_media_is_not_asked_for(run):
    body = (
        PEOPLE
        + """
const said = [];
const video = {...pub('video', 'camera'), setSubscribed: (yes) => said.push(yes)};
room.remoteParticipants.set(...person('cam', 1, [video], {attributes: {'streamhub.type': 'ws-mjpeg'}}));
room.remoteParticipants.set(...person('drone', 2, [pub('video', 'camera')], {attributes: {'streamhub.type': 'rtmp'}}));
m.forgoDrawn(room);
video.isDesired = false;
m.forgoDrawn(room);
return [m.tilesOf(room).map((t) => t.identity), m.tilesOf(room, {only: 'cam'}), said];
"""
    )
    assert run("rtc/people.js", body) == [["show", "drone", "ears", "show", "late"], [], [False]]


def test_one_participant_or_oneself_as_well(run):
    body = (
        PEOPLE
        + "return [m.tilesOf(room, {only: 'show'}), m.tilesOf(room, {local: true})].map((l) => l.map((t) => t.id));"
    )
    assert run("rtc/people.js", body) == [
        ["show/screen/0", "show/person/0"],
        ["show/screen/0", "me/person/0", "ears/person/0", "show/person/0", "late/person/0"],
    ]


def test_nothing_is_expected_of_who_is_muted_unseen_or_oneself(run):
    body = (
        PEOPLE
        + """
    room.remoteParticipants.get('show').trackPublications.get('0').isEnabled = false;
    return m.expectedTracks(m.tilesOf(room, {local: true})).map((p) => p.source);"""
    )
    assert run("rtc/people.js", body) == ["screen_share_audio", "microphone", "camera", "camera"]


MEDIA = """
let now = 0;
const watch = m.createMediaWatch(() => now);
const make = (entry) => ({
    track: {entry, getRTCStatsReport: async () => new Map([['a', {type: 'inbound-rtp', ...entry}]])}});
"""


def test_media_is_what_grows(run):
    body = (
        MEDIA
        + """
    const one = make({bytesReceived: 0}), out = [];
    for (const [at, bytes] of [[1000, 0], [2000, 500], [3000, 500], [9000, 500], [10000, 900]]) {
        now = at; one.track.entry.bytesReceived = bytes;
        await watch.look([one]);
        out.push(watch.silence());
    }
    return [out, watch.heard(one.track), watch.silence(one.track)];"""
    )
    assert run("rtc/media.js", body) == [[1000, 0, 1000, 7000, 0], True, 0]


def test_video_that_is_not_decoded_is_no_media(run):
    body = (
        MEDIA
        + """
    const one = make({bytesReceived: 500, framesDecoded: 0});
    now = 4000; await watch.look([one]);
    return [watch.silence(), watch.heard(one.track)];"""
    )
    assert run("rtc/media.js", body) == [4000, False]


def test_silence_of_a_room_that_owes_nothing_is_none_unless_somebody_is_awaited(run):
    body = (
        MEDIA
        + """
    now = 5000; await watch.look([], true); const awaited = watch.silence();
    await watch.look([]); return [awaited, watch.silence()];"""
    )
    assert run("rtc/media.js", body) == [5000, 0]


VERDICT = """
const seen = {wanted: false, playing: false, played: false, ever: false, failed: false, reached: false, refused: null,
    people: 0, absent: false, ...given.seen};
const told = {state: given.state || 'offline', since: null, camera: null, publishers: 0};
const camera = given.camera ? {state: given.camera, participant: 'door'} : null;
const [words] = m.wordsFor({told, socket: given.socket || 'up', camera, seen, fellBack: false, participant: null});
return words.badge;
"""
ALL_LOST = {"wanted": True, "failed": True}


@pytest.mark.parametrize(
    ("given", "badge"),
    [
        ({"socket": "opening"}, "Connecting"),
        ({"socket": "down"}, "Reconnecting"),
        ({}, "Offline"),
        ({"seen": {"ever": True}}, "Offline"),
        ({"camera": "live", "state": "live"}, "Live"),
        ({"camera": "stale", "state": "stale"}, "Stale"),
        ({"camera": "connecting", "state": "connecting"}, "Connecting"),
        ({"seen": {"wanted": True}}, "Connecting"),
        ({"seen": {"wanted": True, "played": True}}, "Reconnecting"),
        ({"seen": {"playing": True, "people": 1}}, "Live"),
        ({"seen": {"playing": True, "people": 1}, "socket": "down"}, "Live"),
        ({"seen": {"playing": True, "people": 1}, "camera": "stale"}, "Live"),
        ({"seen": ALL_LOST | {"reached": True}}, "No media"),
        ({"seen": ALL_LOST}, "Reconnecting"),
        ({"seen": ALL_LOST | {"reached": True}, "camera": "live"}, "Camera only"),
        ({"seen": ALL_LOST | {"reached": True}, "camera": "stale"}, "No media"),
        ({"seen": {"wanted": True}, "camera": "live"}, "Live"),
        ({"seen": {"refused": "playback_unauthorized", "wanted": True}}, "Private"),
    ],
)
def test_badge_says_what_is_seen(run, given, badge):
    assert run("verdict.js", VERDICT, given) == badge


def test_sound_that_the_browser_forbids_is_tried_again_by_a_tap(run):
    body = """
    let allowed = false, calls = 0;
    const element = {muted: false, volume: 1, play: async () => {
        calls += 1;
        if (!allowed && !element.muted) throw Object.assign(new Error(), {name: 'NotAllowedError'});
    }};
    const told = [];
    const sound = m.createSound({changed: () => told.push(sound.blocked)});
    sound.add(element); await 0; await 0; await 0;
    const before = [sound.blocked, sound.muted, element.muted];
    allowed = true; sound.setMuted(false); await 0; await 0; await 0;
    sound.setVolume(0.25);
    return [before, [sound.blocked, sound.muted, element.muted, element.volume], told[told.length - 1]];"""
    assert run("rtc/sound.js", body) == [[True, True, True], [False, False, False, 0.25], False]
