from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from streamhub.errors import Forbidden, StreamHubError, Unavailable
from streamhub.ingest import limiter, rtmp_server
from streamhub.ingest.rtmp_connection import SILENCE_S
from streamhub.ingest.rtmp_server import OPENING_S
from streamhub.model.relays import SourceOver
from tests.simulator.certificate import make_certificate
from tests.support.rtmp import AVC_CONFIG, VIDEO, Peer, media, plain_c1
from tests.support.rtmp_site import RtmpSite, rtmp_site
from tests.support.waiting import eventually

PATIENCE_S = 30
STARTED = "NetStream.Publish.Start"


@pytest.fixture
async def site() -> AsyncIterator[RtmpSite]:
    async with rtmp_site() as running:
        yield running


async def hear_the_end(peer: Peer) -> tuple[object, object, object]:
    """Level, code and description of the last status; the server hangs up after it."""
    with trio.fail_after(PATIENCE_S):
        status = await peer.hear()
        assert await peer.hangs_up()
    return status["level"], status["code"], status["description"]


async def test_media_when_published_then_it_goes_on_as_flv(site: RtmpSite) -> None:
    async with site.publishing("cam") as (peer, push):
        assert site.server.connections == 1
        await peer.stream.send_all(media(peer.writer))
        await eventually(lambda: push.pieces == 10)
    with trio.fail_after(PATIENCE_S):
        await push.ended.wait()
    assert push.data[:5] == b"FLV\1\5"
    assert push.data[13] == 18
    assert push.data.count(b"\x27\1\0\0\0") == 2
    assert site.authority.asked == ["stk_cam"]
    await eventually(lambda: site.server.connections == 0)


async def test_key_when_wrong_then_the_encoder_is_told_and_hung_up(site: RtmpSite) -> None:
    async with site.peer() as peer:
        await peer.publish("nonsense")
        assert await hear_the_end(peer) == (
            "error",
            "NetStream.Publish.BadName",
            "unknown stream key. Copy it from the ingress, or make a new one.",
        )
    assert site.relays.pushes == []


@pytest.mark.parametrize(
    ("where", "trouble", "code"),
    [
        ("authority", Forbidden("this ingress is switched off"), "NetStream.Publish.BadName"),
        ("relays", Unavailable("16 relays run already"), "NetStream.Publish.Rejected"),
    ],
)
async def test_source_when_not_taken_in_then_the_encoder_is_told_why(
    site: RtmpSite, where: str, trouble: StreamHubError, code: str
) -> None:
    if where == "authority":
        site.authority.troubles["stk_cam"] = trouble
    else:
        site.relays.trouble = trouble
    async with site.peer() as peer:
        await peer.publish("stk_cam")
        assert await hear_the_end(peer) == ("error", code, trouble.message)


async def test_keys_when_an_address_shows_too_many_wrong_ones_then_only_good_ones_pass(
    site: RtmpSite, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    monkeypatch.setattr(limiter, "FAILURES_A_MINUTE", 2)
    async with rtmp_site() as strict:
        for told in ("unknown stream key", "unknown stream key", "too many attempts with a wrong stream key"):
            async with strict.peer() as peer:
                await peer.publish("nonsense")
                assert told in str((await hear_the_end(peer))[2])
        async with strict.publishing("cam"):
            pass
    assert "rtmp_too_often" in logged()


async def test_key_when_used_too_often_then_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiter, "STARTS_A_MINUTE", 1)
    async with rtmp_site() as strict:
        async with strict.publishing("cam"):
            pass
        async with strict.peer() as peer:
            await peer.publish("stk_cam")
            assert "used too often" in str((await hear_the_end(peer))[2])


async def test_secrets_when_everything_has_been_tried_then_none_is_in_the_log(
    site: RtmpSite, logged: Callable[[], str]
) -> None:
    ways = [
        {"name": "stk_secret"},
        {"name": "secret"},
        {"name": "x?key=secret"},
        {"name": "", "app": "live/secret"},
        {"name": "", "app": "secret"},
        {"name": "", "app": "secret/secret/secret"},
        {"name": "x", "tc_url": "rtmp://host/live?streamKey=secret"},
    ]
    for way in ways:
        async with site.peer() as peer:
            await peer.publish(**way)
            await peer.hear()
            await peer.stream.send_all(b"\xc5secret" * 1000)
            await peer.hangs_up()
    await eventually(lambda: site.server.connections == 0)
    text = logged()
    assert text.count('"refused"') == 6
    assert '"not_understood"' in text
    assert "stk_" not in text.replace('"ing_secret"', "").replace('"live-secret"', "")
    assert "secret" not in text.replace('"ing_secret"', "").replace('"live-secret"', "")


@pytest.mark.parametrize("in_nursery", [False, True])
async def test_publish_when_another_takes_over_then_the_first_is_told_and_hung_up(
    site: RtmpSite, in_nursery: bool
) -> None:
    """The first one waits for bytes: its block is cancelled from inside ``push``."""
    site.relays.in_nursery = in_nursery
    async with site.publishing("cam") as (first, push):
        async with site.publishing("cam") as (second, newer):
            assert await hear_the_end(first) == (
                "error",
                "NetStream.Publish.Rejected",
                "another encoder publishes with this key",
            )
            assert push.ended.is_set()
            await second.stream.send_all(media(second.writer))
            await eventually(lambda: newer.pieces == 10)
            await eventually(lambda: site.server.connections == 1)


@pytest.mark.parametrize("in_nursery", [False, True])
async def test_source_when_the_relay_takes_no_more_then_the_encoder_is_told_why(
    site: RtmpSite, in_nursery: bool, logged: Callable[[], str]
) -> None:
    site.relays.in_nursery = in_nursery
    async with site.publishing("cam") as (peer, push):
        push.over = SourceOver("deleted", "this ingress has been deleted")
        await peer.stream.send_all(media(peer.writer))
        assert (await hear_the_end(peer))[2] == "this ingress has been deleted"
    await eventually(lambda: '"deleted"' in logged())


async def test_source_when_its_block_is_cancelled_without_a_word_then_the_encoder_is_told(site: RtmpSite) -> None:
    async with site.publishing("cam") as (peer, push):
        push.scope.cancel()
        assert (await hear_the_end(peer))[1:] == ("NetStream.Publish.Rejected", "the server has ended this stream")


async def test_codec_when_not_taken_then_the_source_ends_and_the_encoder_is_told(site: RtmpSite) -> None:
    async with site.publishing("cam") as (peer, push):
        await peer.stream.send_all(peer.writer.message(6, VIDEO, b"\x90av01cfg", 0, 1))
        assert "AV1" in str((await hear_the_end(peer))[2])
    assert push.ended.is_set()
    assert push.pieces == 0


async def test_media_when_it_cannot_be_understood_then_the_source_ends(
    site: RtmpSite, logged: Callable[[], str]
) -> None:
    async with site.publishing("cam") as (peer, push):
        await peer.stream.send_all(b"\xff" * 100)
        assert "no RTMP" in str((await hear_the_end(peer))[2])
        assert push.ended.is_set()
    await eventually(lambda: '"not_understood"' in logged())


async def test_unpublish_when_told_then_the_encoder_may_hang_up_first(site: RtmpSite) -> None:
    async with site.publishing("cam") as (peer, push):
        await peer.stream.send_all(peer.writer.command("FCUnpublish", 6.0, None, "stk_cam"))
        with trio.fail_after(PATIENCE_S):
            assert (await peer.hear())["code"] == "NetStream.Unpublish.Success"
            await push.ended.wait()
        await peer.stream.send_all(peer.writer.command("deleteStream", 7.0, None, 1))
        assert site.server.connections == 1
    await eventually(lambda: site.server.connections == 0)


async def test_encoder_when_it_vanishes_then_the_source_ends(site: RtmpSite) -> None:
    async with site.publishing("cam") as (_, push):
        pass
    with trio.fail_after(PATIENCE_S):
        await push.ended.wait()
    await eventually(lambda: site.server.connections == 0)


async def test_encoder_when_nothing_comes_any_more_then_it_is_gone_within_ten_seconds(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with rtmp_site() as site, site.publishing("cam") as (peer, push):
        last = trio.current_time()
        await push.ended.wait()
        assert trio.current_time() - last == pytest.approx(SILENCE_S, abs=1)
        await eventually(lambda: site.server.connections == 0)
        assert trio.current_time() - last <= 10
        assert await peer.hangs_up()


async def test_encoder_when_it_does_not_come_to_publish_then_it_has_ten_seconds(
    jump_clock: trio.testing.MockClock,
) -> None:
    async with rtmp_site() as site, site.peer() as peer:
        await eventually(lambda: site.server.connections == 1)
        started = trio.current_time()
        for byte in b"\x03" + plain_c1():
            try:
                await peer.stream.send_all(bytes([byte]))
            except trio.BrokenResourceError:
                break
            await trio.sleep(3)
        assert trio.current_time() - started == pytest.approx(OPENING_S, abs=5)
        assert site.server.connections == 0


async def test_encoder_when_it_is_a_browser_then_it_is_hung_up(site: RtmpSite) -> None:
    async with site.peer() as peer:
        await peer.stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with trio.fail_after(PATIENCE_S):
            assert await peer.hangs_up()


async def test_connections_when_one_address_has_too_many_then_the_next_is_closed(
    site: RtmpSite, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    monkeypatch.setattr(rtmp_server, "MOST_FROM_ONE_ADDRESS", 2)
    async with site.publishing("one"):
        async with site.publishing("two"):
            for _ in range(2):
                async with site.peer() as peer:
                    with trio.fail_after(PATIENCE_S):
                        assert await peer.hangs_up()
            await eventually(lambda: site.server.connections == 2)
        await eventually(lambda: site.server.connections == 1)
        async with site.publishing("three"):
            pass
    assert logged().count("too many connections from one address") == 1


async def test_source_when_it_is_slow_then_the_encoder_waits_and_nothing_is_lost(site: RtmpSite) -> None:
    count, size = 200, 200_000
    async with site.publishing("cam") as (peer, push), trio.open_nursery() as nursery:
        push.awake = trio.Event()
        sent = trio.Event()

        async def send() -> None:
            await peer.stream.send_all(peer.writer.set_size(65_536))
            for n in range(count):
                await peer.stream.send_all(peer.writer.message(6, VIDEO, AVC_CONFIG + bytes(size), n, 1))
            sent.set()

        nursery.start_soon(send)
        # The kernel's buffers take some megabytes, never forty.
        await trio.testing.wait_all_tasks_blocked(0.2)
        assert not sent.is_set()
        assert push.pieces == 0
        push.awake.set()
        await eventually(lambda: push.pieces == count + 1, PATIENCE_S)
        assert sent.is_set()
    assert len(push.data) > count * size


async def test_stop_when_encoders_are_there_then_they_are_told_and_all_ends(site: RtmpSite) -> None:
    async with site.publishing("cam") as (peer, push), site.peer() as idle:
        await eventually(lambda: site.server.connections == 2)
        async with trio.open_nursery() as nursery:
            with trio.fail_after(PATIENCE_S):
                nursery.start_soon(site.server.stop, 10)
                assert (await hear_the_end(peer))[2] == "the server is stopping: connect again in a moment"
                await idle.hangs_up()
        assert push.ended.is_set()
        assert site.server.connections == 0
    with pytest.raises(OSError, match="all attempts to connect"):
        async with site.peer():
            pass


async def test_stop_when_an_encoder_does_not_leave_then_it_is_cut_off(jump_clock: trio.testing.MockClock) -> None:
    async with rtmp_site() as site, site.publishing("cam"):
        started = trio.current_time()
        await site.server.stop(0.5)
        assert site.server.connections == 0
        assert trio.current_time() - started < 2


async def test_server_when_a_connection_fails_unexpectedly_then_the_others_go_on(
    site: RtmpSite, logged: Callable[[], str]
) -> None:
    site.authority.troubles["stk_other"] = RuntimeError("a bug")
    async with site.publishing("cam") as (peer, push):
        async with site.peer() as other:
            await other.publish("stk_other")
            with trio.fail_after(PATIENCE_S):
                assert await other.hangs_up()
        assert "a bug" in logged()
        await peer.stream.send_all(media(peer.writer))
        await eventually(lambda: push.pieces == 10)


async def test_rtmps_when_published_then_it_is_the_same_and_rtmp_goes_on(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with rtmp_site(context) as site:
        plain = await trio.open_tcp_stream("127.0.0.1", site.port)
        stream = trio.SSLStream(plain, trusting, server_hostname="127.0.0.1", https_compatible=True)
        peer = Peer(stream)
        with trio.fail_after(PATIENCE_S):
            await peer.publish("stk_cam")
            assert (await peer.hear())["code"] == STARTED
            await stream.send_all(media(peer.writer))
        push = site.relays.pushes[0]
        await eventually(lambda: push.pieces == 10)
        push.scope.cancel()
        assert (await hear_the_end(peer))[2] == "the server has ended this stream"
        await trio.aclose_forcefully(stream)
        async with site.publishing("plain") as (plain_peer, push):
            await plain_peer.stream.send_all(media(plain_peer.writer))
            await eventually(lambda: push.pieces == 10)


async def test_unix_socket_when_published_then_it_is_the_same(tmp_path: Path) -> None:
    async with rtmp_site(unix=tmp_path / "rtmp.sock"):
        peer = Peer(await trio.open_unix_socket(tmp_path / "rtmp.sock"))
        with trio.fail_after(PATIENCE_S):
            await peer.publish("stk_cam")
            assert (await peer.hear())["code"] == STARTED
        await trio.aclose_forcefully(peer.stream)
