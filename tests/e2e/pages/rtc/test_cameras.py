"""A camera that sends JPEGs, for clients that know nothing of its pictures: LiveKit's own client, and hls.js."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.e2e.pages.conftest import Hub
from tests.e2e.pages.rtc.conftest import Publish
from tests.e2e.pages.rtc.seen import expect_moving, expect_true

# As a page of somebody else's would.
SHOW = """() => {
    const make = (who) => {
        const box = Object.assign(document.createElement('div'), {className: 'tile'});
        const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true, playsInline: true});
        box.dataset.identity = who;
        box.append(video);
        document.body.append(box);
        return video;
    };
    const look = () => {
        for (const person of window.link.room.remoteParticipants.values()) {
            for (const {track} of person.videoTrackPublications.values()) {
                if (track && !track.attachedElements.length) track.attach(make('livekit'));
            }
        }
    };
    setInterval(look, 100);
    return import('/static/hls.js').then(({playHls}) => {
        playHls(make('hls.js'), '/hls/live/attic/index.m3u8', {
            library: '/static/sdk/hls.js', failed: () => { window.hlsFailed = true; },
        });
    });
}"""


def test_camera_then_livekits_client_and_hls_js_play_it(hub: Hub, publish: Publish) -> None:
    with hub.camera("attic"):
        watcher: Page = publish("attic", "eve", audio=False, video=False).page
        watcher.evaluate(SHOW)
        expect_moving(watcher, "livekit")
        expect_moving(watcher, "hls.js")
        expect_true(watcher, "() => window.hlsFailed === undefined")
        rows = [row for row in hub.call("GET", "/apps/live/streams") if row["room"] == "live-attic"]
        assert [row["type"] for row in rows] == ["ws-mjpeg"], "it is one stream"
