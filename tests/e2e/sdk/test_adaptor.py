"""AntMedia's calls: one page publishes, another plays, as a page written for AntMedia does it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import ConsoleMessage, Page

from tests.e2e.sdk.conftest import SdkHub

MAKE = """
config => new Promise(resolve => {
    window.adaptor = new webrtc_adaptor.WebRTCAdaptor({
        localVideoId: "local",
        remoteVideoId: "remote",
        ...config,
        callback: (info, obj) => {
            say(info)(obj);
            if (info === "newStreamAvailable") window.stream = obj.stream;
            if (info === "initialized") resolve();
        },
        callbackError: say("error"),
    });
})
"""


def test_page_for_antmedia_publishes_and_another_plays(hub: SdkHub, visit: Callable[..., Page]) -> None:
    address = f"{hub.base_url.replace('http', 'ws')}/live/websocket"
    publisher, viewer = visit(), visit()
    warnings: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "warning" and "sk_" in message.text:
            warnings.append(message.text)

    publisher.on("console", note)
    publisher.evaluate(MAKE, {"websocket_url": address, "streamhubApiToken": hub.admin_token, "bandwidth": 500})
    viewer.evaluate(MAKE, {"websocket_url": address, "playOnly": True})

    # Played before it is published: it starts when it comes.
    viewer.evaluate("adaptor.play('stream1', '')")
    publisher.evaluate("adaptor.publish('stream1', '', '', '', 'A name')")
    publisher.wait_for_function("heard('publish_started', o => o.streamId === 'stream1') || heard('error')")
    assert publisher.evaluate("said.filter(s => s[0] === 'error')") == []
    assert len(warnings) == 1
    assert "own server" in warnings[0]
    assert "play-token" in warnings[0]
    viewer.wait_for_function("heard('play_started', o => o.streamId === 'stream1')")
    viewer.wait_for_function("count('newStreamAvailable') === 2")  # picture and sound
    arrived = viewer.evaluate("said.find(s => s[0] === 'newStreamAvailable')[1]")
    assert arrived["trackId"] == "ARDAMSxstream1"
    assert arrived["streamName"] == "A name"
    assert viewer.evaluate("moves(document.querySelector('#remote'))")
    assert viewer.evaluate("sounds(stream)") > 0.01
    assert publisher.evaluate("moves(document.querySelector('#local'))")
    assert viewer.evaluate("adaptor.iceConnectionState('stream1')") == "connected"

    publisher.evaluate("adaptor.sendData('stream1', 'good day')")
    viewer.wait_for_function("heard('data_received', o => o.data === 'good day' && o.event.data === o.data)")
    assert viewer.evaluate("said.find(s => s[0] === 'data_received')[1].streamId") == "stream1"

    publisher.evaluate("adaptor.enableStats('stream1'); adaptor.enableAudioLevelForLocalStream(say('level'), 50)")
    publisher.wait_for_function("heard('updated_stats', o => o.currentOutgoingBitrate > 0 && o.totalVideoPacketsSent > 0)")
    publisher.wait_for_function("heard('level', level => level > 0.01)")
    assert publisher.evaluate("heard('available_devices', all => all.some(d => d.kind === 'videoinput' && d.label))")

    publisher.evaluate("adaptor.turnOffLocalCamera('stream1')")
    assert viewer.evaluate("stands(document.querySelector('#remote'))")
    publisher.evaluate("adaptor.turnOnLocalCamera('stream1')")
    assert viewer.evaluate("moves(document.querySelector('#remote'))")

    publisher.evaluate("adaptor.switchDesktopCapture('stream1')")
    publisher.wait_for_function("heard('screen_share_started') || heard('error')")
    label = "document.querySelector('#local').srcObject?.getVideoTracks()[0]?.label"
    assert publisher.evaluate(label).startswith("screen:")
    publisher.evaluate("adaptor.stopDesktopCapture('stream1')")
    publisher.wait_for_function("heard('screen_share_stopped')")
    publisher.wait_for_function(f"({label} ?? '').startsWith('fake_device')")
    assert viewer.evaluate("moves(document.querySelector('#remote'))")
    assert publisher.evaluate("said.filter(s => s[0] === 'error')") == []

    publisher.evaluate("adaptor.stop('stream1')")
    publisher.wait_for_function("heard('publish_finished', o => o.streamId === 'stream1')")
    viewer.wait_for_function("heard('play_finished', o => o.streamId === 'stream1')")
    assert publisher.evaluate("document.querySelector('#local').srcObject") is None
    assert len(warnings) == 1


def test_conference_of_two_sees_each_other(hub: SdkHub, visit: Callable[..., Page]) -> None:
    config = {
        "streamhubApiUrl": f"{hub.base_url}/api/v1",
        "appName": "live",
        "streamhubApiToken": hub.admin_token,
        "mediaConstraints": {"video": True, "audio": False},
    }
    pages = {name: visit() for name in ("ann", "bob")}
    for name, page in pages.items():
        page.evaluate(MAKE, config)
        page.evaluate("name => adaptor.joinRoom('meeting', name)", name)
        page.wait_for_function("heard('joinedTheRoom')")
        page.evaluate("name => adaptor.publish(name)", name)
    for name, other in (("ann", "bob"), ("bob", "ann")):
        page = pages[name]
        page.wait_for_function("id => heard('newStreamAvailable', o => o.trackId === 'ARDAMSx' + id)", arg=other)
        assert page.evaluate("document.querySelector('#remote').srcObject = stream, moves(document.querySelector('#remote'))")
        assert page.evaluate("adaptor.getRoomInfo('meeting').streams") == [other]
    assert pages["bob"].evaluate("said.find(s => s[0] === 'joinedTheRoom')[1].streams") == ["ann"]
    pages["bob"].evaluate("adaptor.leaveFromRoom('meeting')")
    pages["bob"].wait_for_function("heard('leavedFromRoom', o => o.ATTR_ROOM_NAME === 'meeting')")
    pages["ann"].wait_for_function("heard('roomInformation', o => o.streams.length === 0)")
    assert [s for page in pages.values() for s in page.evaluate("said.filter(s => s[0] === 'error')")] == []


def test_refusal_is_an_error_in_words(hub: SdkHub, visit: Callable[..., Page], complaints: object) -> None:
    complaints.expected = ("401",)  # the browser's own line about the answer
    page = visit()
    page.evaluate(MAKE, {"websocket_url": f"{hub.base_url.replace('http', 'ws')}/live/websocket", "streamhubApiToken": "sk_wrong"})
    page.evaluate("adaptor.publish('stream2')")
    assert page.evaluate("said.filter(s => s[0] === 'error').map(s => s[1])") == ["publishError"]
    assert "token" in page.evaluate("said.find(s => s[0] === 'error')[2]")
    assert page.evaluate("adaptor.iceConnectionState('stream2')") == "new"
