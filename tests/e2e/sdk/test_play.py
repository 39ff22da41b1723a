"""publish() and play(): the API for new pages."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from playwright.sync_api import Page

from tests.e2e.pages.conftest import Complaints, wait_until
from tests.e2e.sdk.conftest import SdkHub, Site
from tests.support.livekit import livekit_pids

PUBLISH = """
async ([room, identity]) => {
    window.publisher = await soon(webrtc_adaptor.publish({
        getToken: async () => (await fetch(`/token?room=${room}&identity=${identity}`)).json(),
        preview: document.querySelector("#local"),
    }), "publishing");
    for (const name of ["state", "data", "problem", "closed"]) publisher.on(name, say(name));
    return publisher.identity;
}
"""
PLAY = """
room => {
    window.player = webrtc_adaptor.play(document.querySelector("#player"), {app: "live", room});
    for (const name of ["state", "source", "publishers", "sound", "data", "problem"]) player.on(name, say(name));
}
"""
PLAYS = "source => player.state === 'playing' && player.source === source"
# What a network does that lets no media through: no candidate that could work is ever found.
NO_MEDIA = """
const Real = RTCPeerConnection;
window.RTCPeerConnection = class extends Real {
    constructor(config) { super(window.open_network ? config : {...config, iceServers: [], iceTransportPolicy: "relay"}); }
    setConfiguration(config) { super.setConfiguration(window.open_network ? config : {...config, iceServers: [], iceTransportPolicy: "relay"}); }
};
"""


def kill_livekit(hub: SdkHub) -> None:
    """Also if it is just not there, or has just ended."""
    assert hub.process is not None
    for server in livekit_pids(hub.process.pid):
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


def test_room_is_played_and_both_come_back_after_livekit_dies(
    hub: SdkHub, site: Site, visit: Callable[..., Page], complaints: Complaints
) -> None:
    complaints.expected = ("WebSocket", "ERR_", "503", "signal", "connect", "negotiat")  # while LiveKit is away
    publisher, viewer = visit(), visit()
    viewer.evaluate(PLAY, "talk")
    viewer.wait_for_function("player.state === 'offline'")
    assert publisher.evaluate(PUBLISH, ["talk", "ann"]) == "ann"
    viewer.wait_for_function(PLAYS, arg="webrtc")
    assert viewer.evaluate("moves(player.video)")
    assert viewer.evaluate("player.publishers") == ["ann"]
    # The publisher's microphone and camera off and on: nobody wished the viewer's sound away.
    publisher.evaluate("publisher.setMicrophone(false).then(() => publisher.setMicrophone(true))")
    publisher.evaluate("publisher.setCamera(false)")
    viewer.wait_for_function("player.video.srcObject === null || player.video.srcObject.getVideoTracks().length === 0")
    publisher.evaluate("publisher.setCamera(true)")
    assert viewer.evaluate("moves(player.video)")
    assert viewer.evaluate("[player.muted, audios.length, audios[0].muted, audios[0].paused]") == [False, 1, False, False]
    assert viewer.evaluate("sounds(audios[0].srcObject)") > 0.01
    publisher.evaluate("publisher.send({temperature: 21}, {topic: 'weather'})")
    viewer.wait_for_function("heard('data', m => m.from === 'ann' && m.topic === 'weather' && JSON.parse(m.data).temperature === 21)")

    # Longer than LiveKit's client tries by itself, so that a new connection, and for it a new token, is needed.
    wait_until(lambda: kill_livekit(hub) or publisher.evaluate("heard('state', s => s === 'connecting')"), "given up", 60)
    wait_until(hub.has_livekit, "LiveKit is back")
    publisher.wait_for_function("publisher.state === 'connected'")
    viewer.wait_for_function(PLAYS, arg="webrtc")
    assert viewer.evaluate("moves(player.video)")
    assert site.minted.count("ann") >= 2, "the second connection asked the backend anew"

    # Switched off and on, another microphone, and away.
    publisher.evaluate("publisher.setMicrophone(false)")
    assert publisher.evaluate("[publisher.microphoneOn, publisher.cameraOn]") == [False, True]
    other = publisher.evaluate(
        "webrtc_adaptor.listDevices().then(all => all.filter(d => d.kind === 'audioinput').at(-1).deviceId)"
    )
    publisher.evaluate("id => publisher.setMicrophone(true).then(() => publisher.switchDevice('audioinput', id))", other)
    publisher.evaluate("publisher.stop()")
    assert publisher.evaluate("publisher.state") == "closed"
    assert publisher.evaluate("document.querySelector('#local').srcObject") is None
    viewer.wait_for_function("player.state === 'offline'")
    viewer.evaluate("player.stop()")
    assert viewer.evaluate("document.querySelector('#player').childElementCount") == 0


def test_camera_is_played_by_its_pictures_and_a_publisher_goes_before(hub: SdkHub, visit: Callable[..., Page]) -> None:
    asked: list[str] = []
    viewer, publisher = visit(), visit()
    viewer.on("request", lambda request: asked.append(request.url))
    with hub.camera("yard", fps=8, size="320x240"):
        viewer.evaluate(PLAY, "yard")
        viewer.wait_for_function(PLAYS, arg="mjpeg")
        assert viewer.evaluate("moves(player.video)") == [320, 240]
        assert not any("play-token" in url for url in asked), "a camera needs no LiveKit"
        publisher.evaluate(PUBLISH, ["yard", "guard"])
        viewer.wait_for_function(PLAYS, arg="webrtc")
        assert viewer.evaluate("moves(player.video)")
        publisher.evaluate("publisher.stop()")
        viewer.wait_for_function(PLAYS, arg="mjpeg")
        assert viewer.evaluate("moves(player.video)") == [320, 240]
    viewer.wait_for_function("player.state === 'offline' && player.source === null")


def test_without_media_it_says_so_and_plays_when_the_network_opens(
    hub: SdkHub, visit: Callable[..., Page], complaints: Complaints
) -> None:
    complaints.expected = ("ERR_FAILED", "connect")  # no way for media
    publisher, viewer = visit(), visit(NO_MEDIA)
    asked: list[str] = []
    viewer.on("request", lambda request: asked.append(request.url))
    publisher.evaluate(PUBLISH, ["walled", "ann"])
    viewer.evaluate(PLAY, "walled")
    viewer.wait_for_function("heard('problem', e => e.code === 'no_media' || e.code === 'unreachable')")
    assert viewer.evaluate("player.state") == "connecting"
    assert not any("/hls/" in url for url in asked), "the server says that this room has none"
    viewer.evaluate("window.open_network = true")
    viewer.wait_for_function(PLAYS, arg="webrtc")
    assert viewer.evaluate("moves(player.video)")
