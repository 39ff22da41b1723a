"""Pages that outlive what they watch: livekit-server killed, the whole server restarted, a tab nobody looks at."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.e2e.pages.conftest import Hub
from tests.e2e.pages.rtc.conftest import Publish, livekit_hub
from tests.e2e.pages.rtc.seen import expect_audible, expect_badge, expect_moving, expect_tiles
from tests.e2e.pages.test_link import set_visible
from tests.support.livekit import livekit_pids

# LiveKit's client names the room in what it complains about.
GONE = ("WebSocket connection to", "ERR_CONNECTION_REFUSED", "503", "502", "404", "room: live-pier")


def test_livekit_dead_for_ten_seconds_and_the_server_restarted_then_all_play_again(
    open_page, publish: Publish, tmp_path: Path, complaints
):
    complaints.expected = GONE
    with livekit_hub(tmp_path) as hub:
        ann = publish("pier", "ann", at=hub)
        page = open_page(f"{hub.base_url}/play/live/pier")
        for one in (page, ann.page):
            one.evaluate("window.sameDocument = true")
        expect_badge(page, "Live")
        expect_moving(page, "ann")

        assert hub.process is not None
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for pid in livekit_pids(hub.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            page.wait_for_timeout(100)
        expect_badge(page, "Reconnecting")
        expect_badge(page, "Live")
        expect_moving(page, "ann")
        expect_audible(page, "ann")

        hub.stop()
        expect_badge(page, "Reconnecting")
        hub.start()
        expect_badge(page, "Live")
        expect_moving(page, "ann")
        for one in (page, ann.page):
            assert one.evaluate("window.sameDocument") is True


def test_hidden_tab_leaves_the_room_and_is_back_when_it_is_seen(open_page, hub: Hub, publish: Publish):
    publish("dock", "ann")
    page = open_page("/play/live/dock", before=lambda page: page.clock.install())
    expect_badge(page, "Live")
    set_visible(page, False)
    page.clock.fast_forward(31_000)
    expect_badge(page, "Paused")
    expect_tiles(page, "camera")
    set_visible(page, True)
    expect_badge(page, "Live")
    expect_moving(page, "ann")
