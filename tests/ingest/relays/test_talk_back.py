"""Others speak in an encoder's room: its worker listens while HLS is wanted. Scripted workers; time jumps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import jwt
import trio
from trio.testing import wait_all_tasks_blocked

from streamhub.ingest.relay import TALK_LINGER_S
from streamhub.livekit.tokens import TYPE_ATTRIBUTE
from streamhub.model.clock import utc_now
from streamhub.model.ingress import InputType
from streamhub.model.relays import RelayGrant
from streamhub.model.streams import Published, State
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.wire.relay_control import AttachHls, AttachRoomAudio, SinkEnded
from tests.ingest.relays.scene import KEY, Scene, scene
from tests.support.hls import inline_files

GRANT = RelayGrant("IN_1", InputType.RTMP, KEY, "ingress-live", "Drone")


@asynccontextmanager
async def pushed(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene(inline_files(tmp_path)) as s, s.relays.push(GRANT):
        await wait_all_tasks_blocked()
        yield s


async def watched(s: Scene) -> None:
    await HlsLeases(s.hub).want(KEY, "fmp4")
    await wait_all_tasks_blocked()


async def publish(s: Scene, native: int) -> None:
    s.hub.publishing(KEY, Published(State.LIVE, utc_now(), 1 + native, native))
    await wait_all_tasks_blocked()


async def test_nobody_else_publishes_or_nobody_watches_then_the_room_is_not_listened_to(tmp_path: Path) -> None:
    async with pushed(tmp_path) as s:
        await publish(s, 0)
        await watched(s)
        assert not s.worker.attached(AttachRoomAudio)
    async with pushed(tmp_path) as s:
        await publish(s, 1)
        assert not s.worker.attached(AttachRoomAudio)


async def test_somebody_else_publishes_then_the_worker_listens_to_all_but_itself(tmp_path: Path) -> None:
    async with pushed(tmp_path) as s:
        await watched(s)
        await publish(s, 1)
        (order,) = [o for o in s.worker.orders if isinstance(o, AttachRoomAudio)]
        assert order.without == "ingress-live"
        claims = jwt.decode(order.token, options={"verify_signature": False})
        assert claims["attributes"] == {TYPE_ATTRIBUTE: "tap"}
        assert (claims["video"]["room"], claims["video"]["hidden"]) == (KEY.room, True)
        assert order.token not in repr(order)


async def test_the_last_other_leaves_then_it_listens_on_for_a_while(tmp_path: Path) -> None:
    async with pushed(tmp_path) as s:
        await watched(s)
        s.room().hls.streams["fmp4"].hold()
        await publish(s, 1)
        await publish(s, 0)
        await trio.sleep(TALK_LINGER_S - 1)
        assert s.worker.attached(AttachRoomAudio)
        await trio.sleep(2)
        assert not s.worker.attached(AttachRoomAudio)
        assert s.worker.attached(AttachHls)


async def test_listening_fails_then_it_is_tried_again_and_hls_goes_on(tmp_path: Path) -> None:
    async with pushed(tmp_path) as s:
        await watched(s)
        await publish(s, 1)
        (first,) = s.worker.attached(AttachRoomAudio)
        s.worker.say(SinkEnded(id=first, error="the connection to LiveKit is lost", code="connection_lost"))
        await trio.sleep(11)
        assert [i for i in s.worker.attached(AttachRoomAudio) if i != first]
        assert s.worker.attached(AttachHls)
