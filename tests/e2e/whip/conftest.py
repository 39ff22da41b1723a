"""A server with a real livekit-server, and ingresses to publish by."""

from __future__ import annotations

from typing import Any

from tests.e2e.rooms.conftest import hub, livekit_ready
from tests.support.rtc import RtcPeer
from tests.support.server import Server
from tests.support.waiting import eventually

__all__ = ["hub", "ingress_state", "livekit_ready", "make_ingress", "stream_types", "viewer_of"]


async def make_ingress(server: Server, room: str = "obs", **fields: object) -> dict[str, Any]:
    answer = await server.request("POST", "/api/v1/apps/live/ingress", {"inputType": "whip", "room": room, **fields})
    assert answer.status == 201, answer.body
    data: dict[str, Any] = answer.data
    return data


async def viewer_of(server: Server, room: str = "obs", identity: str = "viewer") -> tuple[str, str]:
    """Address and token of somebody who only watches."""
    body = {"room": room, "identity": identity, "canPublish": False}
    data = (await server.request("POST", "/api/v1/apps/live/tokens", body)).data
    return data["wsUrl"], data["token"]


async def stream_types(server: Server) -> dict[str, str]:
    """Participant → type of the active streams."""
    rows = (await server.request("GET", "/api/v1/apps/live/streams")).data
    return {row["participant"]: row["type"] for row in rows}


async def ingress_state(server: Server, ingress_id: str, wanted: str, within_s: float) -> None:
    """Return when the ingress has that status."""

    async def check() -> bool:
        answer = await server.request("GET", f"/api/v1/apps/live/ingress/{ingress_id}")
        return bool(answer.data["status"] == wanted)

    await eventually(check, within_s)


async def decoded(viewer: RtcPeer, who: str) -> None:
    """Return when the viewer has decoded pictures of that participant and heard its tone."""
    await viewer.said("frames", who=who, count=10, within_s=60)
    await viewer.said("sound", who=who, within_s=60)
