"""Cameras that send JPEGs, by HLS and in LiveKit: encoded once for both, while somebody wants either."""

from __future__ import annotations

from functools import partial

import attrs
import trio

from streamhub.ingest.on_demand import OnDemand
from streamhub.ingest.relay_worker import WorkerLike
from streamhub.ingest.relays import Relays
from streamhub.model.ingress import WhipGrant
from streamhub.rooms.latest import Latest
from streamhub.rooms.room import Room
from streamhub.rooms.session import Session
from streamhub.wire.relay_control import Start, format_picture

# A slow camera's picture is encoded again: segments and key frames come by the clock.
REPEAT_S = 1.0
# A camera whose pictures stay away is left alone until one comes. What is listed is not to have a longer hole.
STALL_S = 4.0


@attrs.frozen
class CameraRelays:
    """``run`` is what accompanies a camera (``rooms.companion``)."""

    relays: Relays

    async def run(self, room: Room, session: Session) -> None:
        """Until cancelled."""
        grant = WhipGrant("", room.key, session.participant, type=session.type)
        make = partial(self.relays.relay, room, grant, outputs=frozenset({"webrtc", "hls"}), livekit_on_demand=True)
        await OnDemand(
            self.relays,
            room,
            lambda demand: demand.hls > 0 or demand.livekit_wanted,
            partial(_started, room.camera_latest),
            make,
            partial(_feed, room),
        ).run()


async def _started(latest: Latest) -> Start:
    """What a worker is told, once there is a picture."""
    while not latest.live:
        await latest.wait_newer(latest.seq)
    return Start(kind="jpeg", stall_s=STALL_S)


async def _feed(room: Room, worker: WorkerLike) -> None:
    """The newest picture whenever the worker has taken one, until cancelled: it costs the camera's reader nothing."""
    latest, seq = room.camera_latest, -1
    while True:
        with trio.move_on_after(REPEAT_S):
            await latest.wait_newer(seq)
        seq = latest.seq
        if latest.live:
            await worker.send_media(format_picture(latest.jpeg, round(room.clock().timestamp() * 1000)))
