"""A camera against a real WebSocket server over memory streams: time jumps, so hours of behaviour take no time."""

from __future__ import annotations

import json
import random
from contextlib import suppress

import pytest
import trio
from trio_websocket import ConnectionClosed

from streamhub.simulator.camera import CameraState, Progress, run_camera
from streamhub.simulator.protocol import CameraRefused
from streamhub.simulator.sources import SourceFailed
from tests.simulator.peer import KEY, Log, Numbers, Peer, options, ready


async def collect(socket, messages, *, hello=None):
    await socket.send_message(hello or ready())
    while True:
        messages.append(await socket.get_message())


def numbers(messages):
    return [int(m[2:].rstrip(b".")) for m in messages if isinstance(m, bytes)]


async def run_for(peer, source, log, seconds, **changes):
    """Run a camera for so long, then cancel it."""
    with trio.move_on_after(seconds):
        await run_camera(options(**changes), source, report=log, dial=peer.dial, rng=random.Random(1))


async def test_camera_when_ready_then_sends_every_frame_in_time(nursery, autojump_clock):
    got = []
    arrived = []

    async def handler(socket):
        await socket.send_message(ready())
        while True:
            got.append(await socket.get_message())
            arrived.append(trio.current_time())

    log = Log()
    await run_for(Peer(nursery, handler), Numbers(), log, 20.05)
    frames = [m for m in got if isinstance(m, bytes)]
    assert numbers(frames) == list(range(1, 202))
    # No drift: the 200th frame leaves 20 s after the first to the microsecond.
    assert arrived[-1] - arrived[0] == pytest.approx(20.0, abs=1e-6)
    assert (log.last.sent, log.last.bytes_sent, log.last.dropped, log.last.reconnects) == (201, 20_100, 0, 0)
    assert log.states() == [CameraState.CONNECTING, CameraState.STREAMING, CameraState.ENDED]
    streaming = [p for p in log.seen if p.state is CameraState.STREAMING][-1]
    assert streaming.fps == pytest.approx(10, abs=0.3)
    assert streaming.bytes_per_s == pytest.approx(1000, abs=30)


async def test_camera_when_connecting_then_shows_the_key_in_a_header_only(nursery, autojump_clock):
    peer = Peer(nursery, lambda socket: collect(socket, []))
    await run_for(peer, Numbers(), Log(), 1)
    assert peer.paths == ["/ingest/ws?app=live&room=cam1"]
    assert peer.headers[0][b"authorization"] == f"Bearer {KEY}".encode()
    assert KEY not in repr(options())


async def test_camera_when_not_ready_then_sends_nothing_and_tries_again_after_ten_seconds(nursery, autojump_clock):
    got = []

    async def handler(socket):
        got.append(await socket.get_message())

    log = Log()
    peer = Peer(nursery, handler)
    await run_for(peer, Numbers(), log, 12)
    assert got == []
    assert len(peer.dialled_at) == 2
    assert any("did not say 'ready' in 10 s" in p.detail for p in log.seen)


async def test_camera_when_the_server_takes_fewer_frames_then_lowers_its_rate(nursery, autojump_clock):
    got = []
    log = Log()
    await run_for(Peer(nursery, lambda s: collect(s, got, hello=ready(max_fps=4))), Numbers(), log, 10, fps=25)
    assert numbers(got) == list(range(1, 41))
    assert log.last.dropped == 0


async def test_camera_when_frames_are_too_large_then_lowers_the_quality_before_sending(nursery, autojump_clock):
    got = []
    source = Numbers(size=1000, steps=5)
    hello = ready(max_frame_bytes=300)
    await run_for(Peer(nursery, lambda s: collect(s, got, hello=hello)), source, Log(), 1.05)
    assert [len(m) for m in got] == [250] * 11
    assert source.steps == 3


async def test_camera_when_a_frame_is_exactly_at_the_limit_then_sends_it(nursery, autojump_clock):
    got = []
    hello = ready(max_frame_bytes=300)
    await run_for(Peer(nursery, lambda s: collect(s, got, hello=hello)), Numbers(size=300), Log(), 0.05)
    assert [len(m) for m in got] == [300]


async def test_camera_when_no_frame_can_be_small_enough_then_sends_none_and_says_so(nursery, autojump_clock):
    got = []
    log = Log()
    hello = ready(max_frame_bytes=99)
    await run_for(Peer(nursery, lambda s: collect(s, got, hello=hello)), Numbers(), log, 1.05)
    assert got == []
    assert log.last.dropped == 11
    assert "exceed the server's 99 bytes" in log.seen[-2].detail


async def test_camera_on_a_slow_link_then_skips_slots_and_sends_only_new_pictures(nursery, autojump_clock):
    got = []
    log = Log()
    # A masked frame has a head of 8 bytes: 0.4 s each, while a frame is due every 0.1 s.
    peer = Peer(nursery, lambda s: collect(s, got), bytes_per_s=(1000 + 8) / 0.4)
    source = Numbers(size=1000)
    await run_for(peer, source, log, 10)
    # Every frame made was sent: none was queued, none was made for nothing.
    assert numbers(got) == list(range(1, len(got) + 1))
    assert source.made - len(got) <= 1
    assert 20 <= len(got) <= 25
    assert log.last.dropped == pytest.approx(100 - len(got), abs=12)


async def test_camera_when_the_server_takes_no_data_then_gives_up_after_ten_seconds(nursery, autojump_clock):
    log = Log()
    peer = Peer(nursery, lambda s: collect(s, []), bytes_per_s=0)
    await run_for(peer, Numbers(), log, 11)
    assert len(peer.dialled_at) == 2
    assert peer.dialled_at[1] >= 10
    assert any(p.detail == "the server took no data for 10 s" for p in log.seen)


async def test_camera_when_a_ping_is_not_answered_then_connects_again(nursery, autojump_clock):
    async def handler(socket):
        await socket.send_message(ready())
        # The reader of a server whose messages nobody takes stands still, and with it its pongs.
        await trio.sleep_forever()

    log = Log()
    peer = Peer(nursery, handler)
    await run_for(peer, Numbers(), log, 40)
    assert len(peer.dialled_at) == 2
    assert any(p.detail == "no answer to a ping for 20 s" for p in log.seen)


async def test_camera_when_pinged_then_answers(nursery, autojump_clock):
    pongs = []

    async def handler(socket):
        await socket.send_message(ready())
        async with trio.open_nursery() as inner:

            async def drain():
                with suppress(ConnectionClosed):
                    while True:
                        await socket.get_message()

            inner.start_soon(drain)
            for _ in range(3):
                await trio.sleep(15)
                # As the server's pings are: without a payload.
                with trio.fail_after(5):
                    await socket.ping(b"")
                pongs.append(trio.current_time())

    await run_for(Peer(nursery, handler), Numbers(), Log(), 50)
    assert len(pongs) == 3


async def test_camera_when_it_runs_then_sends_stats_every_thirty_seconds(nursery, autojump_clock):
    got = []
    await run_for(Peer(nursery, lambda s: collect(s, got)), Numbers(), Log(), 95)
    stats = [json.loads(m) for m in got if isinstance(m, str)]
    assert len(stats) == 3
    assert [s["frames"] for s in stats] == [pytest.approx(300 * n, abs=2) for n in (1, 2, 3)]
    for one in stats:
        assert set(one) == {"type", "fps", "rssi", "heapFree", "frames"}
        assert one["fps"] == pytest.approx(10, abs=0.3)
        assert -85 <= one["rssi"] <= -40
        assert 90_000 <= one["heapFree"] <= 200_000


async def test_camera_when_the_server_is_away_then_backs_off_and_comes_back(nursery, autojump_clock):
    log = Log()
    peer = Peer(nursery, lambda s: collect(s, []), refuse=8)
    await run_for(peer, Numbers(), log, 60)
    pauses = [b - a for a, b in zip(peer.dialled_at, peer.dialled_at[1:], strict=False)]
    for pause, full in zip(pauses, [0.5, 1, 2, 4, 8, 10, 10, 10], strict=True):
        assert full / 2 <= pause <= full
    assert log.last.reconnects == 8
    assert log.last.sent > 0
    waiting = [p for p in log.seen if p.state is CameraState.WAITING]
    assert {p.detail for p in waiting} == {"cannot reach cams.test:3020: Connection refused"}


@pytest.mark.parametrize(("run_s", "most_s"), [(61, 0.5), (5, 10)])
async def test_camera_when_it_ran_well_for_a_minute_then_the_back_off_starts_anew(
    nursery, autojump_clock, run_s, most_s
):
    async def handler(socket):
        with trio.move_on_after(run_s):
            await collect(socket, [])
        await socket.aclose(1012, "server restart")

    peer = Peer(nursery, handler, refuse=6)
    log = Log()
    await run_for(peer, Numbers(), log, 200)
    pause = peer.dialled_at[7] - peer.dialled_at[6] - run_s
    assert most_s / 2 <= pause <= most_s + 0.01
    assert any(p.detail == "closed by the server: server restart (1012)" for p in log.seen)


async def refuse(socket, code, message):
    await socket.send_message(json.dumps({"type": "error", "code": str(code), "message": message}))
    await socket.aclose(code, message)


@pytest.mark.parametrize(
    ("code", "message", "advice"),
    [
        (4401, "invalid_key", "keys create"),
        (4403, "ws_ingest_disabled", "wsIngest"),
        (4413, "frame too large", "--size"),
    ],
)
async def test_camera_when_refused_for_good_then_ends_and_says_what_to_do(
    nursery, autojump_clock, code, message, advice
):
    log = Log()
    peer = Peer(nursery, lambda s: refuse(s, code, message))
    with pytest.raises(CameraRefused, match=message) as refused:
        await run_camera(options(), Numbers(), report=log, dial=peer.dial)
    assert advice in refused.value.hint
    assert len(peer.dialled_at) == 1
    assert (log.last.state, log.last.hint) == (CameraState.ENDED, refused.value.hint)


@pytest.mark.parametrize("code", [1000, 1003, 1006, 1012, 4408, 4409, 4429])
async def test_camera_when_closed_with_another_code_then_tries_again(nursery, autojump_clock, code):
    async def handler(socket):
        if code == 1006:
            await socket._stream.aclose()
        else:
            await refuse(socket, code, "why")

    peer = Peer(nursery, handler)
    await run_for(peer, Numbers(), Log(), 5)
    assert len(peer.dialled_at) > 2


async def test_camera_when_the_server_itself_failed_then_tries_again(nursery, autojump_clock):
    peer = Peer(nursery, lambda s: refuse(s, 4401, "handshake_error"))
    log = Log()
    await run_for(peer, Numbers(), log, 5)
    assert len(peer.dialled_at) > 2
    assert any("its log says why" in p.hint for p in log.seen)


async def test_camera_when_told_to_keep_trying_then_a_refusal_is_not_final(nursery, autojump_clock):
    peer = Peer(nursery, lambda s: refuse(s, 4401, "invalid_key"))
    await run_for(peer, Numbers(), Log(), 60, keep_trying=True)
    assert len(peer.dialled_at) > 5


async def test_camera_when_all_frames_are_sent_then_closes_with_1000_and_returns(nursery, autojump_clock):
    got = []
    log = Log()
    peer = Peer(nursery, lambda s: collect(s, got))
    await run_camera(options(frames=7), Numbers(), report=log, dial=peer.dial)
    assert numbers(got) == list(range(1, 8))
    assert log.last.state is CameraState.ENDED
    await trio.testing.wait_all_tasks_blocked()
    assert peer.closed == [(1000, None)]


async def test_camera_when_frames_are_counted_then_they_count_across_connections(nursery, autojump_clock):
    got = []

    async def handler(socket):
        await socket.send_message(ready())
        for _ in range(3):
            got.append(await socket.get_message())
        await socket.aclose(1001)

    log = Log()
    await run_camera(options(frames=8), Numbers(), report=log, dial=Peer(nursery, handler).dial)
    assert log.last.sent == 8
    assert log.last.reconnects >= 2


async def test_camera_when_cancelled_then_closes_at_once_and_leaves_no_task(nursery, autojump_clock):
    peer = Peer(nursery, lambda s: collect(s, []))
    began = trio.current_time()
    await run_for(peer, Numbers(), Log(), 3)
    assert trio.current_time() - began < 3.1
    await trio.testing.wait_all_tasks_blocked()
    assert peer.closed == [(1000, None)]
    assert nursery.child_tasks == frozenset()


async def test_camera_when_the_source_fails_then_ends_with_its_error(nursery, autojump_clock):
    class Empty(Numbers):
        async def next_frame(self):
            raise SourceFailed("no JPEG in x")

    log = Log()
    with pytest.raises(SourceFailed, match="no JPEG"):
        await run_camera(options(), Empty(), report=log, dial=Peer(nursery, lambda s: collect(s, [])).dial)
    assert log.last.state is CameraState.ENDED


async def test_camera_when_the_server_talks_nonsense_then_goes_on(nursery, autojump_clock):
    got = []

    async def handler(socket):
        await socket.send_message("{")
        await socket.send_message(b"\x00")
        await socket.send_message(ready())
        await socket.send_message(ready(max_fps=1))
        await collect(socket, got, hello='{"type":"news"}')

    await run_for(Peer(nursery, handler), Numbers(), Log(), 5)
    assert len(got) == 50


async def test_report_when_the_camera_waits_then_keeps_saying_why(nursery, autojump_clock):
    log = Log()
    await run_for(Peer(nursery, lambda s: collect(s, []), refuse=100), Numbers(), log, 30)
    assert all(isinstance(p, Progress) for p in log.seen)
    assert len([p for p in log.seen if p.state is CameraState.WAITING and p.detail]) >= 40
