"""LiveKit's ingresses: values of ours, and the calls of its IngressService.

They need a livekit-server with Redis, and LiveKit's ingress service beside it for anything to be taken in. Which
of the two is missing, our errors say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
from livekit.protocol import ingress as proto

from streamhub.errors import NotFound, StreamHubError, Unavailable
from streamhub.livekit.client import LiveKitClient
from streamhub.model.ingress import IngressState, InputType

if TYPE_CHECKING:
    from livekit.api.twirp_client import ServerError

# The attribute by which LiveKit's ingress service marks the participants it makes.
LIVEKIT_INGRESS_ATTRIBUTE = "ingress.ingressID"
NOT_CONNECTED_HINT = (
    "Give livekit-server a Redis (redis: in its configuration) and run LiveKit's ingress service on the same one; the"
    " livekit-server that StreamHub starts itself has none. Or unset STREAMHUB_INGRESS. See docs/livekit-ingress.md."
)
NO_WORKER_HINT = (
    "Run LiveKit's ingress service on the same Redis. One that runs says no when the cpu_cost in its ingress.yaml"
    " is more than the idle cores less 30 % of all: lower the cost, or give it cores. See docs/livekit-ingress.md."
)
_TYPES = {
    InputType.RTMP: proto.IngressInput.RTMP_INPUT,
    InputType.WHIP: proto.IngressInput.WHIP_INPUT,
    InputType.URL: proto.IngressInput.URL_INPUT,
}
_STATES = {
    proto.IngressState.ENDPOINT_INACTIVE: IngressState.INACTIVE,
    proto.IngressState.ENDPOINT_BUFFERING: IngressState.BUFFERING,
    proto.IngressState.ENDPOINT_PUBLISHING: IngressState.PUBLISHING,
    proto.IngressState.ENDPOINT_ERROR: IngressState.ERROR,
    proto.IngressState.ENDPOINT_COMPLETE: IngressState.COMPLETE,
}


@attrs.frozen(kw_only=True)
class IngressWish:
    """An ingress to be made. ``url`` is what a pull opens; ``transcoding`` None leaves it to LiveKit."""

    input_type: InputType
    name: str
    room: str
    identity: str
    participant_name: str | None = None
    url: str | None = attrs.field(default=None, repr=False)
    transcoding: bool | None = None
    enabled: bool = True


@attrs.frozen(kw_only=True)
class LiveIngress:
    """An ingress as LiveKit has it. ``url``: where its encoder goes, or what it pulls; ``bitrate`` in bit/s."""

    id: str
    input_type: InputType
    room: str
    identity: str
    url: str = attrs.field(repr=False)
    stream_key: str = attrs.field(repr=False)
    enabled: bool
    reusable: bool
    transcoded: bool
    state: IngressState
    error: str
    started_at: datetime | None
    bitrate: int | None
    width: int | None
    height: int | None


@attrs.frozen
class IngressApi:
    """The calls. All raise Unavailable.

    Without Redis ``create``, ``list`` and ``get`` say ``ingress_not_connected``; the others make livekit-server 1.13.5
    panic: ask one of those first.
    """

    client: LiveKitClient

    async def create(self, wish: IngressWish) -> LiveIngress:
        """The new ingress. Raises BadRequest; Unavailable ``ingress_no_worker`` for a pull that nobody takes (3 s)."""
        request = proto.CreateIngressRequest(
            input_type=_TYPES[wish.input_type],
            name=wish.name,
            room_name=wish.room,
            participant_identity=wish.identity,
            participant_name=wish.participant_name or "",
            url=wish.url or "",
        )
        if wish.transcoding is not None:
            request.enable_transcoding = wish.transcoding
        if not wish.enabled:
            request.enabled = False
        return _live(await self.client.call(lambda: self.client.ingress().create_ingress(request), _explained))

    async def list(self) -> list[LiveIngress]:
        """All ingresses LiveKit has, whoever made them."""
        request = proto.ListIngressRequest()
        answer = await self.client.call(lambda: self.client.ingress().list_ingress(request), _explained)
        return [_live(i) for i in answer.items]

    async def get(self, livekit_id: str) -> LiveIngress:
        """One ingress. Raises NotFound."""
        request = proto.ListIngressRequest(ingress_id=livekit_id)
        answer = await self.client.call(lambda: self.client.ingress().list_ingress(request), _explained)
        if not answer.items:
            raise _not_found()
        return _live(answer.items[0])

    async def update(self, livekit_id: str, *, room: str, enabled: bool) -> LiveIngress:
        """The ingress after the change; a source it has is disconnected. Raises NotFound, BadRequest (of a pull)."""
        request = proto.UpdateIngressRequest(ingress_id=livekit_id, room_name=room, enabled=enabled)
        return _live(await self.client.call(lambda: self.client.ingress().update_ingress(request), _explained))

    async def delete(self, livekit_id: str) -> None:
        """It is gone and its source disconnected. Raises NotFound."""
        request = proto.DeleteIngressRequest(ingress_id=livekit_id)
        await self.client.call(lambda: self.client.ingress().delete_ingress(request), _explained)


def _live(info: proto.IngressInfo) -> LiveIngress:
    state, video = info.state, info.state.video
    kinds = {number: kind for kind, number in _TYPES.items()}
    return LiveIngress(
        id=info.ingress_id,
        input_type=kinds.get(info.input_type, InputType.URL),
        room=info.room_name,
        identity=info.participant_identity,
        url=info.url,
        stream_key=info.stream_key,
        enabled=info.enabled if info.HasField("enabled") else True,
        reusable=info.reusable,
        transcoded=info.enable_transcoding if info.HasField("enable_transcoding") else not info.bypass_transcoding,
        state=_STATES.get(state.status, IngressState.INACTIVE),
        error=state.error,
        started_at=_when(state.started_at),
        bitrate=(video.average_bitrate + state.audio.average_bitrate) or None,
        width=video.width or None,
        height=video.height or None,
    )


def _when(stamp: int) -> datetime | None:
    """LiveKit's ingress service counts nanoseconds; seconds and what lies between are understood too."""
    seconds = float(stamp)
    while seconds > 1e11:
        seconds /= 1000
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None


def _explained(exc: ServerError) -> StreamHubError | None:
    if "redis required" in exc.message:
        return Unavailable(
            "livekit-server has no Redis, which its ingress needs",
            code="ingress_not_connected",
            hint=NOT_CONNECTED_HINT,
        )
    if exc.status == 404 and exc.code == "not_found":
        return _not_found()
    if "no response from" in exc.message:
        return Unavailable("no ingress service of LiveKit takes this", code="ingress_no_worker", hint=NO_WORKER_HINT)
    return None


def _not_found() -> NotFound:
    return NotFound("LiveKit has no such ingress", code="livekit_not_found")
