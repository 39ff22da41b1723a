"""LiveKit's rooms in a dict: what ``services.livekit_reconcile.RoomsApi`` promises, and signed webhooks about them."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import trio
from livekit import api

from streamhub.errors import NotFound, Unavailable
from streamhub.livekit.participants import Kind, LiveRoom, Participant, Track
from streamhub.livekit.tokens import LiveKitKeys

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def track(kind: str = "video", **more: Any) -> Track:
    values = {"sid": "TR_1", "source": "camera", "mime_type": "video/VP8", "muted": False, "width": 1280, "height": 720}
    return Track(**{**values, "kind": kind, **more})


def person(identity: str = "ann", *tracks: Track, **more: Any) -> Participant:
    values = {
        "sid": f"PA_{identity}",
        "identity": identity,
        "name": "",
        "state": "active",
        "kind": Kind.STANDARD,
        "hidden": False,
        "joined_at": AT,
        "metadata": "",
        "attributes": {},
        "tracks": tracks,
    }
    return Participant(**{**values, **more})


@attrs.define
class FakeLiveKit:
    """Rooms by name. ``down`` fails every call; ``linger``: somebody thrown out is listed still, as LiveKit may do."""

    people: dict[str, dict[str, Participant]] = attrs.field(factory=dict)
    down: bool = False
    linger: bool = False
    removed: list[tuple[str, str]] = attrs.field(factory=list)
    deleted: list[str] = attrs.field(factory=list)
    calls: int = 0

    def join(self, room: str, *who: Participant) -> None:
        self.people.setdefault(room, {}).update({p.identity: p for p in who})

    def leave(self, room: str, identity: str) -> None:
        del self.people[room][identity]

    async def rooms(self, names: tuple[str, ...] = ()) -> list[LiveRoom]:
        await self._answer()
        return [LiveRoom("RM", n, AT, len(p), 0) for n, p in self.people.items() if not names or n in names]

    async def participants(self, room: str) -> list[Participant]:
        await self._answer()
        return list(self.people.get(room, {}).values())

    async def remove_participant(self, room: str, identity: str) -> None:
        await self._answer()
        if identity not in self.people.get(room, {}):
            raise NotFound("not there")
        self.removed.append((room, identity))
        if not self.linger:
            self.leave(room, identity)

    async def delete_room(self, room: str) -> None:
        await self._answer()
        if self.people.pop(room, None) is None:
            raise NotFound("not there")
        self.deleted.append(room)

    async def _answer(self) -> None:
        self.calls += 1
        await trio.lowlevel.checkpoint()
        if self.down:
            raise Unavailable("livekit-server cannot be reached", code="livekit_unreachable")


def sign(keys: LiveKitKeys, body: bytes, *, ttl: timedelta = timedelta(minutes=5)) -> str:
    """The Authorization header LiveKit sends with the body. Its times are true ones."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return api.AccessToken(keys.api_key, keys.api_secret).with_sha256(digest).with_ttl(ttl).to_jwt()


def note(name: str, room: str = "live-demo", *, event_id: str = "EV_1", **more: Any) -> bytes:
    """The body of a webhook, as LiveKit writes it."""
    return json.dumps(
        {"event": name, "id": event_id, "createdAt": "1795435200", "room": {"name": room}, **more}
    ).encode()
