"""LiveKit's egresses: values of ours, and the calls of its EgressService that make HLS of a room.

They need a livekit-server with Redis, and LiveKit's egress service beside it. Which of the two is missing, our errors
say. What it makes of a room lies in a folder of its own below ``EgressOutput.folder``, under a name that nobody can
guess; by that we know an egress for ours.
"""

from __future__ import annotations

import re
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING

import attrs
import trio
from livekit.protocol import egress as proto

from streamhub.errors import NotFound, StreamHubError, Unavailable
from streamhub.livekit.client import LiveKitClient
from streamhub.model.names import RoomKey

if TYPE_CHECKING:
    from livekit.api.twirp_client import ServerError

PLAYLIST = "index.m3u8"
SEGMENT_S = 2
# A service that is there answers within two seconds; without one livekit-server asks around for 24 s or longer.
START_S = 8.0
NOT_CONNECTED_HINT = (
    "Give livekit-server a Redis (redis: in its configuration) and run LiveKit's egress service on the same one; the"
    " livekit-server that StreamHub starts itself has none. Or unset STREAMHUB_EGRESS. See docs/livekit-egress.md."
)
NO_WORKER_HINT = (
    "Start LiveKit's egress service; it must use the same Redis as livekit-server. One that runs says no when the"
    " cpu_cost in its egress.yaml is more than the cores it has idle: lower the cost. See docs/livekit-egress.md."
)


class EgressState(StrEnum):
    """LiveKit's states, in our words."""

    STARTING = "starting"
    ACTIVE = "active"
    ENDING = "ending"
    ENDED = "ended"
    FAILED = "failed"


_STATES = {
    proto.EgressStatus.EGRESS_STARTING: EgressState.STARTING,
    proto.EgressStatus.EGRESS_ACTIVE: EgressState.ACTIVE,
    proto.EgressStatus.EGRESS_ENDING: EgressState.ENDING,
    proto.EgressStatus.EGRESS_COMPLETE: EgressState.ENDED,
    proto.EgressStatus.EGRESS_LIMIT_REACHED: EgressState.ENDED,
    proto.EgressStatus.EGRESS_FAILED: EgressState.FAILED,
    proto.EgressStatus.EGRESS_ABORTED: EgressState.FAILED,
}


def new_path(key: RoomKey) -> str:
    """The folder for one more egress of the room, below ``EgressOutput.folder``."""
    return f"{key.app}/{key.room}/{secrets.token_hex(16)}"


@attrs.frozen
class Bucket:
    """Where egress uploads to. Without ``key`` and ``secret`` it uses those of its own machine."""

    name: str
    endpoint: str | None = None
    region: str | None = None
    key: str | None = None
    secret: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class EgressOutput:
    """Where egress puts HLS: ``folder`` as it sees it, or the beginning of names in ``bucket``."""

    folder: str = ""
    bucket: Bucket | None = None

    def segments(self, path: str) -> proto.SegmentedFileOutput:
        """What egress is told to write there: a list of the newest segments, and one of all, which it insists on."""
        folder = f"{self.folder}/{path}" if self.folder else path
        output = proto.SegmentedFileOutput(
            filename_prefix=f"{folder}/s",
            playlist_name=f"{folder}/all.m3u8",
            live_playlist_name=f"{folder}/{PLAYLIST}",
            segment_duration=SEGMENT_S,
            disable_manifest=True,
        )
        if (bucket := self.bucket) is not None:
            output.s3.bucket = bucket.name
            output.s3.endpoint = bucket.endpoint or ""
            output.s3.force_path_style = bucket.endpoint is not None
            output.s3.region = bucket.region or ""
            output.s3.access_key = bucket.key or ""
            output.s3.secret = bucket.secret or ""
        return output

    def path_of(self, live_playlist: str, room: str) -> tuple[str, str] | None:
        """App and path of an egress that writes this list, if it is one of ours for that room."""
        start = re.escape(f"{self.folder}/" if self.folder else "")
        found = re.fullmatch(rf"{start}(([^/]+)/{re.escape(room)}/[0-9a-f]{{32}})/{re.escape(PLAYLIST)}", live_playlist)
        return None if found is None else (found[2], found[1])


@attrs.frozen
class LiveEgress:
    """An egress of ours as LiveKit has it. ``path``: as of ``new_path``."""

    id: str
    app: str
    room: str
    path: str
    state: EgressState
    error: str = ""


@attrs.frozen
class EgressApi:
    """The calls. All raise Unavailable; without Redis ``egress_not_connected``."""

    client: LiveKitClient
    output: EgressOutput

    async def start(self, key: RoomKey, path: str, identity: str | None) -> LiveEgress:
        """HLS of that participant, or of all in the room, begins. Raises NotFound (no such room).

        Raises Unavailable ``egress_no_worker`` after ``START_S``; it may begin all the same, if a service turns up.
        """
        outputs = [self.output.segments(path)]
        preset = proto.EncodingOptionsPreset.H264_720P_30

        async def ask() -> proto.EgressInfo:
            service = self.client.egress()
            if identity is not None:
                return await service.start_participant_egress(
                    proto.ParticipantEgressRequest(
                        room_name=key.room, identity=identity, preset=preset, segment_outputs=outputs
                    )
                )
            return await service.start_room_composite_egress(
                proto.RoomCompositeEgressRequest(
                    room_name=key.room, layout="speaker", preset=preset, segment_outputs=outputs
                )
            )

        info: proto.EgressInfo | None = None
        with trio.move_on_after(START_S):
            info = await self.client.call(ask, _explained)
        if info is None:
            raise _no_worker()
        return LiveEgress(info.egress_id, key.app, key.room, path, _STATES[info.status], info.error)

    async def active(self) -> list[LiveEgress]:
        """Those of ours that have not ended."""
        return await self._list(proto.ListEgressRequest(active=True))

    async def get(self, egress_id: str) -> LiveEgress:
        """One of ours, ended or not. Raises NotFound."""
        found = await self._list(proto.ListEgressRequest(egress_id=egress_id))
        if not found:
            raise _not_found()
        return found[0]

    async def stop(self, egress_id: str) -> None:
        """It ends soon. Raises NotFound, and BadRequest if it has ended."""
        request = proto.StopEgressRequest(egress_id=egress_id)
        await self.client.call(lambda: self.client.egress().stop_egress(request), _explained)

    async def _list(self, request: proto.ListEgressRequest) -> list[LiveEgress]:
        answer = await self.client.call(lambda: self.client.egress().list_egress(request), _explained)
        return [one for info in answer.items if (one := self._ours(info)) is not None]

    def _ours(self, info: proto.EgressInfo) -> LiveEgress | None:
        kind = info.WhichOneof("request")
        request = getattr(info, kind) if kind in ("participant", "room_composite") else None
        if request is None or len(request.segment_outputs) != 1:
            return None
        found = self.output.path_of(request.segment_outputs[0].live_playlist_name, info.room_name)
        if found is None:
            return None
        return LiveEgress(info.egress_id, found[0], info.room_name, found[1], _STATES[info.status], info.error)


def _explained(exc: ServerError) -> StreamHubError | None:
    if "redis required" in exc.message:
        return Unavailable(
            "livekit-server has no Redis, which its egress needs",
            code="egress_not_connected",
            hint=NOT_CONNECTED_HINT,
        )
    if "no response from" in exc.message:
        return _no_worker()
    return _not_found() if exc.status == 404 and exc.code == "not_found" else None


def _no_worker() -> Unavailable:
    return Unavailable(
        "no egress service of LiveKit takes this room's HLS", code="egress_no_worker", hint=NO_WORKER_HINT
    )


def _not_found() -> NotFound:
    return NotFound("LiveKit has no such egress, or no such room", code="livekit_not_found")
