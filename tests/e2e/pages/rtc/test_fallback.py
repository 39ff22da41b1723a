"""What a page does while media does not get through: UDP dropped, then TCP as well, by a proxy of the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.pages.conftest import Hub, wait_until
from tests.e2e.pages.looks import pictures
from tests.e2e.pages.rtc.conftest import Publish
from tests.e2e.pages.rtc.proxy import MediaProxy, media_proxy
from tests.e2e.pages.rtc.seen import LIMIT_S, expect_badge, expect_moving, expect_tiles


@pytest.fixture
def proxy(hub: Hub) -> Iterator[MediaProxy]:
    with media_proxy(hub.data_dir) as made:
        yield made


@pytest.fixture
def watch(open_page, proxy: MediaProxy):
    """``watch(path)``: a page whose media passes the proxy."""
    return lambda path: open_page(path, before=lambda page: page.add_init_script(proxy.script))


def expect_protocol(page, protocol: str) -> None:
    wait_until(lambda: page.evaluate("window.protocol()") == protocol, f"media comes by {protocol}", LIMIT_S)


def test_media_takes_tcp_by_itself_where_udp_is_dropped(watch, proxy: MediaProxy, publish: Publish):
    publish("cafe", "ann")
    proxy.drop_udp = True
    page = watch("/play/live/cafe")
    expect_badge(page, "Live")
    expect_moving(page, "ann")
    expect_protocol(page, "tcp")


def test_page_says_that_no_media_comes_and_is_back_by_itself(watch, proxy: MediaProxy, publish: Publish):
    publish("bank", "ann")
    proxy.drop_udp = proxy.drop_tcp = True
    page = watch("/play/live/bank")
    expect_badge(page, "No media")
    expect(page.locator("#notice-title")).to_have_text("No sound or picture arrives")
    proxy.drop_udp = proxy.drop_tcp = False
    expect_badge(page, "Live")
    expect(page.locator("#overlay")).to_be_hidden()
    expect_moving(page, "ann")
    expect_protocol(page, "udp")

    proxy.drop_udp = proxy.drop_tcp = True  # in the midst of it
    expect_badge(page, "No media")
    proxy.drop_udp = proxy.drop_tcp = False
    expect_badge(page, "Live")
    expect_moving(page, "ann")


def test_camera_goes_on_while_the_publisher_beside_it_does_not_get_through(
    watch, proxy: MediaProxy, hub: Hub, publish: Publish
):
    with hub.camera("gate"):
        publish("gate", "ann")
        page = watch("/play/live/gate")
        expect_badge(page, "Live")
        expect_moving(page, "ann")
        proxy.drop_udp = proxy.drop_tcp = True
        expect_badge(page, "Camera only")
        expect(page.locator("#overlay")).to_be_hidden()
        expect(page.locator('[data-identity="ann"] em')).to_be_visible()
        pictures(page, 3)
        proxy.drop_udp = proxy.drop_tcp = False
        expect_badge(page, "Live")
        expect_tiles(page, "camera", "ann")
        expect_moving(page, "ann")
        pictures(page, 2)
