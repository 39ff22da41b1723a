"""Relays with scripted workers: what is attached when, and who ends what."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from streamhub.errors import Unavailable
from streamhub.ingest.relay_states import activity_of
from streamhub.ingest.relays import FINAL, LOOK_S
from streamhub.model.ingress import IngressState, InputType
from streamhub.model.relays import PullSource, RelayGrant, SourceOver
from streamhub.model.streams import State
from streamhub.wire.relay_control import AttachJpeg, AttachWhip, Ended, Picture, Start, Stats
from tests.ingest.relays.scene import KEY, scene
from tests.support.media import jpeg

GRANT = RelayGrant("IN_1", InputType.RTMP, KEY, "ingress-live", "Drone")
HEADER = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"


def tag(kind: int, body: bytes, ms: int = 0) -> bytes:
    size = len(body)
    time = (ms & 0xFFFFFF).to_bytes(3, "big") + bytes([ms >> 24])
    return bytes([kind]) + size.to_bytes(3, "big") + time + bytes(3) + body + (size + 11).to_bytes(4, "big")


CONFIG, FRAME = tag(9, b"\x17\x00config"), tag(9, b"\x27\x01frame", 40)


async def test_push_then_the_worker_gets_its_bytes_and_publishes_by_our_whip_door() -> None:
    async with scene() as s:
        async with s.relays.push(GRANT) as send:
            await wait_all_tasks_blocked()
            await send(HEADER)
            await send(CONFIG)
            await send(FRAME)
            start, whip = s.worker.orders
            assert start == Start(kind="flv", media_fd=7)
            assert isinstance(whip, AttachWhip)
            assert whip.url == "http://127.0.0.1:1/relay/whip"
            assert s.worker.media == HEADER + CONFIG + FRAME
            assert s.room().shown[0] is State.LIVE
        assert s.worker.over.is_set()
        assert s.relays.count() == 0
        await wait_all_tasks_blocked()
        assert s.hub.get(KEY) is None


async def test_push_when_the_worker_dies_then_another_begins_with_the_codecs_configuration() -> None:
    async with scene() as s, s.relays.push(GRANT) as send:
        await wait_all_tasks_blocked()
        await send(HEADER)
        await send(CONFIG)
        await send(FRAME)
        s.worker.die()
        await trio.sleep(1)
        assert len(s.workers.made) == 2
        await send(FRAME)
        assert s.worker.media == HEADER + CONFIG + FRAME
        assert s.worker.attached(AttachWhip)


async def test_push_when_another_comes_with_the_same_key_then_the_first_is_told() -> None:
    async with scene() as s:
        first_in, over = trio.Event(), trio.Event()

        async def first() -> None:
            with pytest.raises(SourceOver) as told:
                async with s.relays.push(GRANT):
                    first_in.set()
                    await trio.sleep_forever()
            assert told.value.reason == "replaced"
            over.set()

        s.nursery.start_soon(first)
        await first_in.wait()
        async with s.relays.push(GRANT):
            assert over.is_set()
            assert s.relays.count() == 1


@pytest.mark.parametrize("code", sorted(FINAL))
async def test_push_when_its_codec_is_not_taken_then_the_encoder_is_told_why(code: str) -> None:
    async with scene() as s:
        with pytest.raises(SourceOver, match="AV1") as told:
            async with s.relays.push(GRANT):
                await wait_all_tasks_blocked()
                s.worker.say(Ended(error="AV1 is not taken", code=code, hint="Use H.264."))
                await trio.sleep_forever()
        assert told.value.reason == code


async def test_push_when_the_row_is_deleted_then_it_ends() -> None:
    async with scene() as s:

        async def delete() -> None:
            await wait_all_tasks_blocked()
            assert await s.relays.end("IN_1")

        with pytest.raises(SourceOver, match="gone"):
            async with s.relays.push(GRANT):
                s.nursery.start_soon(delete)
                await trio.sleep_forever()
        assert not await s.relays.end("IN_1")


async def test_push_when_its_block_fails_then_that_error_comes_out_as_it_is() -> None:
    async with scene() as s:
        with pytest.raises(ZeroDivisionError):
            async with s.relays.push(GRANT):
                raise ZeroDivisionError
        assert s.relays.count() == 0


async def test_whip_when_livekit_is_away_or_refuses_then_it_is_tried_again() -> None:
    async with scene() as s:
        s.livekit.last.set_down("away", "wait")
        async with s.relays.push(GRANT):
            await trio.sleep(3)
            assert not s.worker.attached(AttachWhip)
            s.worker.refuses.add("whip")
            s.livekit.last.set_ready("http://livekit.test:7880", "1.13.5")
            await trio.sleep(3)
            tried = len([o for o in s.worker.orders if isinstance(o, AttachWhip)])
            assert 1 < tried < 8
            known = s.relays.find("IN_1")
            assert known is not None
            assert known.known.problems["AttachWhip"].code == "refused"
            s.worker.refuses.clear()
            await trio.sleep(10)
            assert len(s.worker.attached(AttachWhip)) == 1
            assert not known.known.problems


async def test_pictures_are_decoded_only_while_somebody_wants_them() -> None:
    async with scene() as s, s.relays.push(GRANT):
        await wait_all_tasks_blocked()
        assert not s.worker.attached(AttachJpeg)
        room = s.room()
        room.poll()
        await wait_all_tasks_blocked()
        assert len(s.worker.attached(AttachJpeg)) == 1
        s.worker.say(Picture(at_ms=0, jpeg=jpeg(1)))
        await wait_all_tasks_blocked()
        assert room.latest.jpeg == jpeg(1)
        assert room.pictured_at is not None
        await trio.sleep(31)
        assert not s.worker.attached(AttachJpeg)
        assert room.pictured_at is None, "nobody who comes later is shown an old picture as live"
        s.worker.say(Picture(at_ms=0, jpeg=jpeg(2)))
        await wait_all_tasks_blocked()
        assert room.pictured_at is None


def pull(url: str = "rtsp://camera/1", **more: object) -> PullSource:
    return PullSource(grant=attrs.evolve(GRANT, type=InputType.RTSP), url=url, **more)  # type: ignore[arg-type]


async def test_pull_then_it_runs_as_its_row_says_and_ends_with_it() -> None:
    async with scene() as s:
        s.sources.append(pull())
        s.relays.look_soon()
        await wait_all_tasks_blocked()
        assert s.worker.orders[0] == Start(kind="rtsp", url="rtsp://camera/1", media_fd=-1)
        s.sources[0] = pull("rtsp://camera/2")
        await trio.sleep(LOOK_S + 1)
        assert s.workers.made[0].over.is_set()
        assert s.worker.orders[0] == Start(kind="rtsp", url="rtsp://camera/2", media_fd=-1)
        s.sources.clear()
        await trio.sleep(LOOK_S + 1)
        assert s.worker.over.is_set()
        assert s.relays.count() == 0


async def test_pull_when_it_never_delivered_then_the_waits_grow_and_when_it_did_they_stay_short() -> None:
    async with scene() as s:
        s.workers.opens = False
        s.sources.append(pull())
        s.relays.look_soon()
        for _ in range(8):
            await wait_all_tasks_blocked()
            s.worker.say(Ended(error="no answer", code="timeout"))
            began = trio.current_time()
            await s.workers.another()
        assert 20 < trio.current_time() - began <= 37
        s.workers.opens = True
        for turn in range(6):
            s.worker.say(Ended(error="no answer", code="timeout"))
            began = trio.current_time()
            await s.workers.another()
            if turn > 1:
                assert trio.current_time() - began <= 2.6


async def test_pull_when_it_cannot_be_prepared_then_its_state_says_why() -> None:
    async with scene() as s:
        s.sources.append(pull("rtsp://denied/1"))
        s.relays.look_soon()
        await wait_all_tasks_blocked()
        running = s.relays.find("IN_1")
        assert running is not None
        assert running.error == "that host is denied"
        assert running.retry_at is not None
        assert not s.workers.made


async def test_pull_on_demand_then_it_runs_while_somebody_watches() -> None:
    async with scene() as s:
        s.sources.append(pull(on_demand=True))
        s.relays.look_soon()
        await trio.sleep(60)
        assert not s.workers.made
        s.room().poll()
        await wait_all_tasks_blocked()
        assert len(s.workers.made) == 1
        await trio.sleep(30)
        assert not s.worker.over.is_set()
        await trio.sleep(32)
        assert s.worker.over.is_set()
        s.room().poll()
        await wait_all_tasks_blocked()
        assert len(s.workers.made) == 2


async def test_pull_on_demand_when_somebody_is_in_livekits_room_then_it_runs_as_long() -> None:
    async with scene() as s:
        s.sources.append(pull(on_demand=True))
        s.relays.look_soon()
        await wait_all_tasks_blocked()
        s.hub.expecting(KEY)
        await wait_all_tasks_blocked()
        assert len(s.workers.made) == 1
        s.hub.looking_on(KEY, 1)
        await trio.sleep(200)
        assert not s.worker.over.is_set()
        s.hub.looking_on(KEY, 0)
        await trio.sleep(61)
        assert s.worker.over.is_set()
        assert len(s.workers.made) == 1


async def test_too_many_relays_then_refused_with_what_to_do() -> None:
    async with scene() as s, s.relays.push(GRANT):
        s.relays.most = 1
        with pytest.raises(Unavailable, match=r"may: 1 \(STREAMHUB_MAX_RELAYS\)"):
            async with s.relays.push(attrs.evolve(GRANT, ingress_id="IN_2")):
                raise AssertionError("let in")


async def test_stop_then_all_end_and_none_begins_any_more() -> None:
    async with scene() as s:
        s.sources.append(pull())
        s.relays.look_soon()
        await wait_all_tasks_blocked()
        other = attrs.evolve(GRANT, ingress_id="IN_2")
        with pytest.raises(SourceOver, match="stopping"):
            async with s.relays.push(other):
                await wait_all_tasks_blocked()
                s.nursery.start_soon(s.relays.stop, 1.5)
                await trio.sleep_forever()
        await trio.sleep(LOOK_S * 2)
        assert all(worker.over.is_set() for worker in s.workers.made)
        assert len(s.workers.made) == 2
        with pytest.raises(Unavailable, match="stopping"):
            async with s.relays.push(other):
                raise AssertionError("let in")


async def test_pull_when_the_way_out_was_refused_then_its_state_says_so() -> None:
    async with scene() as s:
        s.workers.opens = False
        s.relays.explain = lambda ingress_id: f"{ingress_id} may not go there"
        s.sources.append(pull())
        s.relays.look_soon()
        await wait_all_tasks_blocked()
        s.worker.say(Ended(error="HTTP 403", code="forbidden"))
        await wait_all_tasks_blocked()
        running = s.relays.find("IN_1")
        assert running is not None
        assert running.error == "IN_1 may not go there"
        state = activity_of(running)
        assert (state.state, state.error) == (IngressState.ERROR, "IN_1 may not go there")


async def test_pull_when_it_runs_then_its_figures_are_shown_and_when_it_last_came() -> None:
    async with scene() as s:
        s.sources.append(pull())
        s.relays.look_soon()
        await wait_all_tasks_blocked()
        running = s.relays.find("IN_1")
        assert running is not None
        s.worker.say(Stats(fps=24.987, bitrate=900_000, gop_s=2.0, hints=("set B-frames to 0",)))
        await wait_all_tasks_blocked()
        state = activity_of(running)
        assert (state.state, state.codec, state.width, state.fps) == (IngressState.PUBLISHING, "h264", 640, 24.99)
        assert (state.bitrate, state.keyframe_interval_s, state.hints) == (900_000, 2.0, ("set B-frames to 0",))
        assert state.last_came_at == state.started_at
        s.worker.say(Ended(error="gone", code="connection_lost", hint="It is tried again."))
        await wait_all_tasks_blocked()
        after = activity_of(running)
        assert (after.state, after.error, after.fps) == (IngressState.ERROR, "gone", None)
        assert after.last_came_at == state.started_at
        assert after.retry_at is not None
